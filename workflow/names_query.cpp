#include "workflow/names_query.h"

#include <cctype>
#include <string>

namespace weft {
namespace {

constexpr size_t kLeastString = 4;
constexpr const char* kTotalCost = "total_cost";
constexpr const char* kNoError = "no error";

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool holds_word(const std::string& text, const std::string& word) {
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) {
      return true;
    }
  }
  return false;
}

/// The code without the contract's strings, in either quotes.
std::string without_contract(std::string code) {
  for (const char* text : {kTotalCost, kNoError}) {
    for (const char quote : {'"', '\''}) {
      const std::string literal = quote + std::string(text) + quote;
      for (size_t at; (at = code.find(literal)) != std::string::npos;) {
        code.erase(at, literal.size());
      }
    }
  }
  return code;
}

}  // namespace

bool names_query(const Task& task, const Workflow& workflow) {
  if (!workflow.facts.parses) return false;
  for (const auto& text : workflow.facts.strings) {
    const bool counts = text.size() >= kLeastString && text != kTotalCost && text != kNoError;
    if (counts && task.prompt.find(text) != std::string::npos) return true;
  }
  return !task.entry_point.empty() && holds_word(without_contract(workflow.code), task.entry_point);
}

}  // namespace weft
