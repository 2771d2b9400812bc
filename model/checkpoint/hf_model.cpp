#include "model/checkpoint/hf_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <c10/util/Exception.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/stop.h"
#include "model/checkpoint/finite.h"
#include "model/checkpoint/new_directory.h"
#include "model/checkpoint/safetensors.h"
#include "model/ops/cpu/kernels.h"

namespace weft {
namespace {

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// Weights that some exporters write although they follow from others.
bool is_redundant(const std::string& name, const TransformerConfig& config) {
  return name.ends_with("rotary_emb.inv_freq") ||
         (config.tie_word_embeddings && name == "lm_head.weight");
}

void check_names(const SafetensorsReader& file, const std::set<std::string>& expected,
                 const TransformerConfig& config, const std::string& dir) {
  for (const std::string& name : expected) {
    if (!file.contains(name)) throw InputError(dir + ": tensor " + name + " is missing");
  }
  for (const std::string& name : file.names()) {
    if (!expected.count(name) && !is_redundant(name, config)) {
      throw InputError(dir + ": tensor " + name + " is not part of the model in config.json");
    }
  }
}

// A tied head that the file also holds must be the embedding, else one of the two would be dropped.
void check_tied_head(const SafetensorsReader& file, const TransformerConfig& config,
                     const std::string& dir) {
  if (!config.tie_word_embeddings || !file.contains("lm_head.weight")) return;
  const at::Tensor head = file.tensor("lm_head.weight");
  const at::Tensor embedding = file.tensor("model.embed_tokens.weight");
  if (head.scalar_type() == embedding.scalar_type() && at::equal(head, embedding)) return;
  throw InputError(dir +
                   ": lm_head.weight differs from model.embed_tokens.weight, and config.json " +
                   "says that they are one (tie_word_embeddings: true): expected false there");
}

bool is_weights_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") ||
         name.ends_with(".bin") || name.ends_with(".pth") || name.ends_with(".gguf");
}

void report_not_finite(const std::string& name, bool is_stored_finite,
                       const TransformerConfig& config, const std::string& dir) {
  const std::string what = dir + ": tensor " + name + " holds values that are not finite" +
                           (is_stored_finite ? " in the run's dtype" : "");
  if (!is_read_by_token(name, config)) throw InputError(what);
  log::warn("{}: texts with the tokens concerned cannot be computed", what);
}

void copy_weights(const SafetensorsReader& file,
                  const std::vector<std::pair<std::string, at::Tensor>>& views,
                  const TransformerConfig& config, const std::string& dir) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, view] : views) {
    throw_if_stopped();
    const at::Tensor stored = file.tensor(name);
    if (stored.sizes() != view.sizes() || !stored.is_floating_point()) {
      throw InputError(dir + ": tensor " + name + ": expected floating point " +
                       shape_text(view.sizes()) + ", got " + at::toString(stored.scalar_type()) +
                       " " + shape_text(stored.sizes()));
    }
    view.copy_(stored);
    if (!all_finite(view)) report_not_finite(name, all_finite(stored), config, dir);
  }
}

// The stored dtype in config.json follows the weights.
void write_config(const fs::path& source, const fs::path& target, at::ScalarType dtype) {
  Json json = read_json_file(source);
  const char* name = dtype == at::kBFloat16 ? "bfloat16" : "float32";
  json[json.contains("torch_dtype") ? "torch_dtype" : "dtype"] = name;
  write_file_atomically(target, json.dump(2) + "\n");
}

void copy_companions(const fs::path& source, const fs::path& target, at::ScalarType dtype) {
  for (const auto& entry : fs::directory_iterator(source)) {
    const fs::path name = entry.path().filename();
    if (!entry.is_regular_file() || is_weights_file(name)) continue;
    if (name == "config.json") {
      write_config(entry.path(), target / name, dtype);
      continue;
    }
    std::error_code error;
    fs::copy_file(entry.path(), target / name, error);
    if (error) throw Error("cannot write " + (target / name).string() + ": " + error.message());
  }
}

}  // namespace

bool is_read_by_token(const std::string& hugging_face_name, const TransformerConfig& config) {
  return hugging_face_name == "model.embed_tokens.weight" && !config.tie_word_embeddings;
}

at::ScalarType resolve_dtype(const std::string& name) {
  if (name == "auto") return kernels::has_bf16_products() ? at::kBFloat16 : at::kFloat;
  if (name == "f32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name == "int8") {
    throw InputError(
        "dtype: int8 is for models that only answer: rounded weights have no gradient, and a "
        "policy must sample from the weights that are trained; expected auto, f32 or bf16");
  }
  throw InputError("dtype: expected auto, f32 or bf16, got \"" + name + "\"");
}

InferenceDtype resolve_inference_dtype(const std::string& name) {
  if (name == "int8") return {resolve_dtype("auto"), true};
  if (name == "auto" || name == "f32" || name == "bf16") return {resolve_dtype(name), false};
  throw InputError("dtype: expected auto, f32, bf16 or int8, got \"" + name + "\"");
}

std::unique_ptr<Transformer> load_transformer(const std::string& dir, at::ScalarType dtype) {
  return load_for_inference(dir, {dtype, false});
}

std::unique_ptr<Transformer> load_for_inference(const std::string& dir,
                                                const InferenceDtype& dtype) {
  const TransformerConfig config = TransformerConfig::from_directory(dir);
  const SafetensorsReader file = SafetensorsReader::open_directory(dir);
  auto model = std::make_unique<Transformer>(config, dtype.activations);
  std::set<std::string> names;
  for (const auto& [name, view] : model->hugging_face_views()) names.insert(name);
  check_names(file, names, config, dir);
  check_tied_head(file, config, dir);
  copy_weights(file, model->global_views(), config, dir);
  if (dtype.int8) model->round_head();
  for (int64_t l = 0; l < model->num_layers(); ++l) {
    copy_weights(file, model->layer_views(l), config, dir);
    if (dtype.int8) model->round_layer(l);
  }
  return model;
}

void save_transformer(const Transformer& model, const std::string& source_dir,
                      const std::string& dir) {
  NewDirectory directory(dir);
  copy_companions(source_dir, directory.temporary(), model.dtype());
  write_safetensors((directory.temporary() / "model.safetensors").string(),
                    model.hugging_face_views());
  directory.publish();
}

}  // namespace weft
