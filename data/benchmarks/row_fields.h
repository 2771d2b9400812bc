/// Reading a row so that no field with tests in it is passed over.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/known_fields.h"

namespace weft {

/// Fields of one row; errors are InputError opened by `where`. Remembers which were asked for.
class RowFields {
 public:
  RowFields(const Json& row, std::string where);

  bool has(const std::string& key) const;  ///< there and not null
  std::string text(const char* key);
  std::string text_or(const char* key, const std::string& fallback);
  std::vector<std::string> texts(const char* key);  ///< an array of strings, empty where absent
  Json array(const char* key);                      ///< empty where absent
  double number_or(const char* key, double fallback);
  /// A string, or an integer with `prefix` before it.
  std::string id(const char* key, const std::string& prefix);

  /// The columns nobody asked for, each counted once. Throws for a misspelling of one that was
  /// asked for, and for one that is not empty and, by its name or by asserts in its text, seems to
  /// hold tests.
  FieldCounts unread() const;

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  const Json& row_;
  std::string where_;
  std::set<std::string> asked_;
};

}  // namespace weft
