/// Opening the models that a config names: engines on local directories, servers, adapters. For the
/// programs' mains, which alone join models with the rooms that only know TextModel.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "model/checkpoint/hf_model.h"
#include "model/engine/engine.h"
#include "model/remote/remote_model.h"
#include "model/text_model.h"

namespace weft {

enum class ModelKind {
  kLocal,   ///< a directory in an engine of this process
  kRemote,  ///< an OpenAI-compatible server
};
inline EnumTable<ModelKind> enum_table(ModelKind) {
  return {{ModelKind::kLocal, "local"}, {ModelKind::kRemote, "remote"}};
}

struct LocalOptions;

/// One model of a config, e.g. "worker".
struct ModelOptions {
  ModelKind kind = ModelKind::kLocal;
  std::string model;  ///< local: as OpenModels::open_checkpoint; empty: the config's own "model"
  std::string dtype;  ///< local: as resolve_inference_dtype; empty: the config's own "dtype"
  RemoteModelOptions remote;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "local (an engine in this process) or remote (an OpenAI-compatible server)");
    v("model", model,
      "local: Hugging Face directory, or PEFT adapter over the base model; empty: the base model");
    v("dtype", dtype,
      "local: auto, f32, bf16 or int8 (rounded weights, faster); empty: the config's dtype");
    v("remote", remote, "remote: the server");
  }
  void validate() const;  ///< throws InputError
  /// What would keep OpenModels(local) from opening it; `key` is its place in the config.
  void check_start(const std::string& key, const LocalOptions& local, StartCheck& check) const;
};

/// The part of a program's config that models need.
struct LocalOptions {
  std::string model;  ///< Hugging Face directory of the base
  std::string device = "auto";
  std::string dtype = "auto";
  int64_t threads = 0;  ///< CPU threads, 0: all cores
  EngineOptions engine;

  template <class V>
  void visit(V& v) {
    v("model", model, "Hugging Face directory of the base model");
    v("device", device, "auto, cpu or cuda[:N]");
    v("dtype", dtype, "auto, f32, bf16 or int8 (rounded weights, faster)");
    v("threads", threads, "CPU threads, 0: all cores");
    v("engine", engine, "batch and cache of local engines");
  }
  void validate() const;  ///< throws InputError
  /// What would keep models from being opened: the device, and the base where one is named.
  void check_start(StartCheck& check) const;
  /// The same of a checkpoint, the config's `key`; where `dir` is empty or an adapter, of the base.
  void check_checkpoint(const std::string& key, const std::string& dir, StartCheck& check) const;
};

/// Why the answers of an engine on `dir` to the same requests may differ in another run: a template
/// that writes the date, and a GPU's products, whose last bits depend on what is computed together.
/// Empty where they may not.
std::vector<std::string> clock_reasons(const std::string& dir, bool on_gpu);

/// Fingerprints of a local model under `name`; of a server's nothing is known.
void add_inputs(RunInputs& inputs, const std::string& name, const ModelOptions& options);

/// A model with the adapter it is to be asked with.
struct OpenedModel {
  TextModel* model = nullptr;  ///< owned by the OpenModels
  std::string adapter;         ///< empty: the base weights
};

/// The models of one process. A directory is opened once for a dtype, however often it is named, so
/// a worker and a meta-agent on the same base share its weights and its batch. Used by one thread,
/// but for usage().
class OpenModels {
 public:
  explicit OpenModels(LocalOptions options);
  /// On a device that is resolved already.
  OpenModels(LocalOptions options, const ComputeDevice& device);

  /// Counts an engine on the base's directory that is there already, borrowed, such as one whose
  /// weights are in training; `as_base`: it also serves whoever asks for the base in the config's
  /// dtype. Before anything is opened.
  void adopt(Engine& engine, bool as_base);

  /// An adapter's directory gives a model that asks the base's engine with that adapter, named
  /// after the directory. Throws InputError naming what is wrong with a directory or an option.
  TextModel& open(const ModelOptions& options);

  /// A checkpoint: a PEFT directory becomes an adapter over the base model, a Hugging Face
  /// directory a model of its own. `dtype` as in ModelOptions. Throws InputError when it is
  /// neither.
  OpenedModel open_checkpoint(const std::string& dir, const std::string& dtype = "");

  /// The engine of the base model.
  Engine& base(const std::string& dtype = "");

  /// Of all models opened so far; a server's answers are its own affair.
  std::vector<std::string> clock_reasons() const;

  /// Tokens of all engines so far, {"decoded_tokens", "prefill_tokens", "cached_tokens"}. Any
  /// thread.
  Json usage() const;

 private:
  /// A canonical directory and how it is held.
  using Key = std::pair<std::string, InferenceDtype>;
  Engine& engine(const std::string& dir, const std::string& dtype);
  InferenceDtype resolved(const std::string& dtype) const;
  void note_clock_reasons(const std::string& dir);

  LocalOptions options_;
  const ComputeDevice device_;
  mutable std::mutex mutex_;  ///< of all_ and engines_
  std::vector<Engine*> all_;  ///< adopted or owned
  std::vector<std::unique_ptr<Engine>> owned_;
  std::map<Key, Engine*> engines_;
  std::map<Key, std::string> adapters_;             ///< -> name in the engine
  std::vector<std::unique_ptr<TextModel>> opened_;  ///< remote models, and engines with an adapter
  std::set<std::string> clock_reasons_;
};

/// A program's config with the models it opens: the fields of `Base` and of LocalOptions, and
/// "worker", which a run opens where Base::needs_worker().
template <class Base>
struct WithModels : Base {
  LocalOptions local;
  ModelOptions worker;

  template <class V>
  void visit(V& v) {
    Base::visit(v);
    local.visit(v);
    v("worker", worker, "model behind call_llm");
  }
  void validate() const {
    Base::validate();
    local.validate();
  }
  void check_start(StartCheck& check) const {
    Base::check_start(check);
    local.check_start(check);
    check.without_error([&] {
      if (Base::needs_worker()) worker.check_start("worker", local, check);
    });
  }
  /// What a run is told of base and worker.
  RunModels run_models(const OpenModels& models) const {
    RunModels told;
    told.inputs.model("model", local.model);
    add_inputs(told.inputs, "worker", worker);
    told.clock_reasons = [&models] { return models.clock_reasons(); };
    told.tokens = [&models] { return models.usage()["decoded_tokens"].get<int64_t>(); };
    return told;
  }
};

}  // namespace weft
