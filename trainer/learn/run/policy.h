/// The model in training: base weights, adapter, tokenizer and chat template.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "model/device.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/tokenizer.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"
#include "trainer/learn/update/learner.h"

namespace weft {

struct ModelSource {
  std::string dir;  ///< Hugging Face directory
  std::string dtype = "auto";
  ComputeDevice device;
};

struct Policy {
  ComputeDevice device;  ///< that holds model and adapter
  std::shared_ptr<Transformer> model;
  std::shared_ptr<Lora> lora;  ///< null where every weight is trained
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const ChatTemplate> chat_template;  ///< null if the model has none
};

/// The shape of the run's adapter: that of init_adapter where its folder is there, else learn.lora.
/// Throws InputError where learn.lora asks for what init_adapter has otherwise.
LoraConfig adapter_shape(const LearnOptions& options);

/// Loads the model and makes or loads the adapter, on the device. A run of full weights that is
/// resumed takes its weights from `checkpoint`. A run that begins has the adapter of
/// adapter_shape(). Throws InputError naming what is wrong with a file or option.
Policy open_policy(const ModelSource& source, const LearnOptions& options, uint64_t seed,
                   const std::optional<std::filesystem::path>& checkpoint);

/// The chat template of a model's folder; null where it has none.
std::shared_ptr<const ChatTemplate> find_chat_template(const std::filesystem::path& dir);

/// Another model of the run, frozen, on the policy's device.
std::shared_ptr<Transformer> open_frozen_model(const ModelSource& source);

}  // namespace weft
