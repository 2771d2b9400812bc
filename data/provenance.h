/// Where weights come from, so that reports and pages can say it: the file source.json beside them,
/// written by scripts/fetch_default_model.py ("label") and by the trainers ("teachers").
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace weft {

struct Provenance {
  std::string label;  ///< e.g. "SmolLM2-135M-Instruct, dequantised from 4 bits"
  /// Who wrote the workflows that it learnt from, as a trajectory's origin ("scripted",
  /// "teacher:NAME", "model:NAME"); empty where nobody did, or it is not known.
  std::vector<std::string> teachers;
};

/// Of a model by its name: a directory, one with "-int8" behind it (weights rounded to 8 bits), or
/// any other name, which is its own label. A directory without source.json has its own name as
/// label. Throws InputError when source.json is there and is not what it should be.
Provenance provenance_of(const std::string& model_name);

/// Adds to the trained model in `dir` who wrote what it learnt from: `teachers`, and those of the
/// model `start` that it was trained from (a name as above). Writes nothing where nobody did.
void write_teachers(const std::filesystem::path& dir, const std::string& start,
                    const std::vector<std::string>& teachers);

/// An origin for readers: "scripted teacher (a grammar of workflows, not a language model)",
/// "NAME (teacher)", "NAME".
std::string teacher_words(const std::string& origin);

}  // namespace weft
