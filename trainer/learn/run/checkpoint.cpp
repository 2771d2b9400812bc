#include "trainer/learn/run/checkpoint.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <map>
#include <new>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint/adapter_base.h"
#include "model/checkpoint/finite.h"
#include "model/checkpoint/hf_model.h"
#include "model/checkpoint/safetensors.h"

namespace weft {
namespace {

constexpr const char* kPrefix = "step_";
constexpr const char* kTrainer = "trainer";
constexpr const char* kState = "state.json";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kOptimizerKind = "optimizer";

std::optional<int64_t> step_of(const std::string& name) {
  const std::string prefix = kPrefix;
  if (!name.starts_with(prefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + prefix.size(), end, step);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return step;
}

void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, error);
  if (error) throw Error("cannot write " + to.string() + ": " + error.message());
}

void remove_entries(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove_all(path);
}

void check_finite(Learner& learner, const std::string& checkpoint) {
  std::string bad = learner.non_finite_weight(/*frozen_too=*/false);
  for (const auto& [name, tensor] : learner.optimizer().state()) {
    if (bad.empty() && !all_finite(tensor)) bad = "optimizer state " + name;
  }
  if (!bad.empty()) {
    throw Error(checkpoint + " is not saved: " + bad + " holds values that are not finite");
  }
}

/// One line of whatever was thrown.
std::string message_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return error.what();
  }
}

void copy_adapter(const Lora& from, Lora& to) {
  at::NoGradGuard no_grad;
  for (int64_t l = 0; l < to.num_layers(); ++l) {
    if (from.flat(l).sizes() != to.flat(l).sizes()) {
      throw InputError("the checkpoint's adapter has another shape than the run's");
    }
    to.flat(l).copy_(from.flat(l));
  }
  to.weights_changed();
}

void load_optimizer(const fs::path& path, Optimizer& optimizer) {
  const SafetensorsReader reader(path);
  try {
    std::map<std::string, at::Tensor> saved;
    for (const std::string& name : reader.names()) saved.emplace(name, reader.tensor(name));
    const auto kind = reader.metadata().find(kOptimizerKind);
    optimizer.load_state(std::move(saved), kind == reader.metadata().end() ? "" : kind->second);
  } catch (const InputError& error) {
    throw InputError(path.string() + ": " + error.what());
  }
}

}  // namespace

void CheckpointOptions::validate() const {
  if (every_steps < 0) {
    throw InputError("every_steps: expected >= 0, got " + std::to_string(every_steps));
  }
  if (keep < 1) throw InputError("keep: expected >= 1, got " + std::to_string(keep));
}

CheckpointSet::CheckpointSet(fs::path run_dir, std::string model_dir,
                             const CheckpointOptions& options)
    : run_dir_(std::move(run_dir)),
      folder_(run_dir_ / "checkpoints"),
      model_dir_(std::move(model_dir)),
      options_(options),
      base_weights_(weights_fingerprint(model_dir_)) {}

std::vector<std::pair<int64_t, fs::path>> CheckpointSet::list() const {
  std::vector<std::pair<int64_t, fs::path>> result;
  if (!fs::exists(folder_)) return result;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const auto step = step_of(entry.path().filename());
    if (step && fs::exists(entry.path() / kTrainer / kState)) result.emplace_back(*step, entry);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::optional<fs::path> CheckpointSet::latest() const {
  const auto all = list();
  if (all.empty()) return std::nullopt;
  return all.back().second;
}

void CheckpointSet::save(int64_t step, Learner& learner, const Json& state) {
  at::NoGradGuard no_grad;
  const std::string name = kPrefix + std::to_string(step);
  check_finite(learner, name);
  const fs::path temporary = folder_ / ("." + name + ".tmp");
  fs::create_directories(folder_);
  remove_entries(folder_, std::string(".") + kPrefix);  // of a run that was killed while it wrote
  try {
    if (learner.lora() != nullptr) {
      learner.lora()->save(temporary, base_model_name());
      write_adapter_base(temporary, model_dir_, base_weights_);
    } else {
      save_transformer(learner.model(), model_dir_, temporary);
    }
    const fs::path trainer = temporary / kTrainer;
    fs::create_directories(trainer);
    write_safetensors(trainer / kOptimizer, learner.optimizer().state(),
                      {{"format", "pt"}, {kOptimizerKind, learner.optimizer().kind_name()}});
    write_file_atomically(trainer / kState, dump_json_pretty(state));
    publish_directory(temporary, folder_ / name);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  write_file_atomically(folder_ / "latest", name + "\n");
  const auto all = list();
  for (size_t i = 0; i + options_.keep < all.size(); ++i) fs::remove_all(all[i].second);
}

std::string CheckpointSet::base_model_name() const {
  if (!options_.base_model_name.empty()) return options_.base_model_name;
  return fs::absolute(model_dir_).lexically_normal().string();
}

fs::path CheckpointSet::state_file(const fs::path& dir) { return dir / kTrainer / kState; }

Json CheckpointSet::restore(const fs::path& dir, Learner& learner) {
  try {
    if (learner.lora() != nullptr) {
      copy_adapter(*Lora::load(dir, learner.model().config()), *learner.lora());
    }
    load_optimizer(dir / kTrainer / kOptimizer, learner.optimizer());
    return read_json_file(state_file(dir));
  } catch (const InputError& error) {
    throw InputError(std::string(error.what()) + "; without the folder " + dir.string() +
                     " a resume goes on from the one before");
  }
}

void CheckpointSet::publish_final() const {
  const auto newest = latest();
  WEFT_ASSERT(newest.has_value());
  const fs::path temporary = run_dir_ / ".final.tmp";
  remove_entries(run_dir_, temporary.filename());
  fs::create_directories(temporary);
  for (const auto& entry : fs::directory_iterator(*newest)) {
    if (entry.is_regular_file()) link_or_copy(entry, temporary / entry.path().filename());
  }
  publish_directory(temporary, run_dir_ / "final");
}

void save_on_failure(const std::function<void()>& work, const std::function<void()>& save) {
  try {
    work();
  } catch (...) {
    const std::exception_ptr reason = std::current_exception();
    try {
      save();
    } catch (...) {
      throw Error(message_of(reason) + "; what a resume needs could not be saved either: " +
                  message_of(std::current_exception()));
    }
    throw;
  }
}

}  // namespace weft
