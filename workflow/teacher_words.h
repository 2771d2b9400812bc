/// What the scripted teacher reads out of a query, so that what it writes refers to the query.
#pragma once

#include <string>

#include "data/task.h"

namespace weft {

struct QueryWords {
  /// The entry point; without one "the program" for code tasks, "the answer" for others.
  std::string entry;
  std::string call;  ///< "count_vowels(text)" where the prompt shows arguments, else the entry
  /// Up to seven words: what the function does ("returns the number of vowels") where the prompt
  /// says so, else the question or the first words.
  std::string phrase;
  bool is_predicate = false;  ///< phrase continues "count_vowels(text) ..."
  std::string topic;          ///< "string", "list", "number", "grid", "dictionary" or "Python"
};

/// Every field is printable ASCII without quotes, backslashes, backticks and braces, so that it may
/// stand inside a Python string.
QueryWords words_of(const Task& task);

}  // namespace weft
