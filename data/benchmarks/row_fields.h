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
  /// `index` is the row's place in its file, from 0.
  RowFields(const Json& row, std::string where, int64_t index = 0);

  bool has(const std::string& key) const;  ///< there and not null
  std::string text(const char* key);
  std::string text_or(const char* key, const std::string& fallback);
  std::vector<std::string> texts(const char* key);  ///< an array of strings, empty where absent
  Json array(const char* key);                      ///< empty where absent
  double number_or(const char* key, double fallback);
  /// A string, or an integer with `prefix` before it.
  std::string id(const char* key, const std::string& prefix);

  /// The string of the first of the columns that is there.
  std::string first_text(const std::vector<const char*>& keys);
  /// The same where it may be a number as well: whole ones without a point, others as short as
  /// they can be.
  std::string text_or_number(const std::vector<const char*>& keys);
  /// The first of the columns as an id, or "DATASET/INDEX" where there is none.
  std::string id_or_index(const std::vector<const char*>& keys, const std::string& dataset);
  Json value(const char* key);                            ///< of any type, which must be there
  Json json_text(const char* key);                        ///< JSON in a string, or as it is
  Json parse_text(const char* what, const std::string&);  ///< JSON; `what` is for the error
  /// An object of those of the columns that are there.
  Json some(const std::vector<const char*>& keys);
  void ignore(const char* key) { asked_.insert(key); }
  const std::string& where() const { return where_; }

  /// The columns nobody asked for, each counted once. Throws for a misspelling of one that was
  /// asked for and, in a row with tests, for one that is not empty and, by its name or by asserts
  /// in its text, seems to hold further ones.
  FieldCounts unread(bool has_tests) const;

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  const Json& row_;
  std::string where_;
  int64_t index_;
  std::set<std::string> asked_;
};

/// Without the blanks and line ends around it.
std::string trimmed(const std::string& text);

/// Whether it is a decimal number as a whole: -12, 0.5, 1e20.
bool is_decimal(const std::string& text);

}  // namespace weft
