#include <algorithm>

#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

// Functions whose values EvalPlus compares otherwise than by equality, which its lists of inputs do
// not say.
constexpr const char* kComparedAsSets[] = {
    "similar_elements", "find_char_long",     "common_in_nested_lists", "extract_singly",
    "larg_nnum",        "intersection_array", "find_dissimilar",        "Diff"};
constexpr const char* kComparedWithNone[] = {"check_str", "text_match_three", "text_starta_endb"};
constexpr const char* kSeveralAnswers[] = {"are_equivalent", "sum_div", "surface_Area",
                                           "digit_distance_nums"};

template <size_t N>
bool is_one_of(const std::string& name, const char* const (&names)[N]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// The release of EvalPlus: lists of inputs, asserts of the base tests in `assertion`.
BenchmarkRow load_lists(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id("task_id", "Mbpp/");
  parsed.prompt = row.text("prompt");
  const std::string entry_point = row.text("entry_point");
  const std::string code = row.text("canonical_solution");
  row.text_or("contract", "");  // of the inputs; the published ones keep it
  if (is_one_of(entry_point, kSeveralAnswers)) {
    row.fail("EvalPlus takes several answers to " + entry_point + ", which its lists do not say");
  }
  if (const std::string asserts = row.text_or("assertion", ""); !asserts.empty()) {
    ReferenceTask base;
    base.form = ReferenceTask::Form::kProgram;
    base.code = code;
    base.entry_point = entry_point;
    base.tests = {asserts};
    parsed.references.push_back(std::move(base));
  }
  ReferenceTask inputs = plus_inputs(row, code, entry_point);
  if (!parsed.references.empty()) inputs.tests = parsed.references[0].tests;
  parsed.references.push_back(std::move(inputs));
  std::string& shape = parsed.references.back().shape;
  if (is_one_of(entry_point, kComparedAsSets)) shape = "set(__call__)";
  if (is_one_of(entry_point, kComparedWithNone)) {
    shape = "(lambda out: out if isinstance(out, bool) else out is not None)(__call__)";
  }
  return parsed;
}

}  // namespace

BenchmarkRow load_mbpp_plus(RowFields& row) {
  if (row.has("plus_input")) return load_lists(row);
  if (row.text_or("test", "").empty()) {
    row.fail(
        "expected the further inputs in \"test\" or \"plus_input\", got neither: is it mbpp's "
        "row?");
  }
  return load_mbpp(row);
}

}  // namespace weft
