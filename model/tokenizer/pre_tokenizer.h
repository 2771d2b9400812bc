/// The `pre_tokenizer` of a tokenizer.json: cuts text into the pieces that BPE merges within.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/tokenizer/scanner.h"

namespace weft {

/// Pieces of a text in order. Views point into the text given to split(), or into `owned` where a
/// stage had to change it.
struct Pieces {
  std::vector<std::string_view> views;
  std::deque<std::string> owned;
};

/// A chain of stages. Immutable; may be used from any thread.
class PreTokenizer {
 public:
  /// Knows ByteLevel, Digits, Split (a Regex or String, behavior Isolated or Removed) and Sequence;
  /// null leaves the text whole. Throws InputError naming any other component.
  PreTokenizer(const Json& json, const std::string& where);

  /// `text` is valid UTF-8 and outlives the pieces. Replaces what `pieces` held.
  void split(std::string_view text, Pieces& pieces) const;

  /// Whether a ByteLevel stage maps bytes to the vocabulary's 256 printable characters.
  bool byte_level() const { return byte_level_; }

 private:
  struct Stage {
    std::unique_ptr<Scanner> scanner;
    bool invert = false;        ///< gaps count as matches and matches as gaps
    bool drop_matches = false;  ///< behavior Removed
    bool prefix_space = false;  ///< ByteLevel's add_prefix_space
  };

  void add_stages(const Json& json, const std::string& where);
  void add_split(const Json& json, const std::string& where);
  void add_byte_level(const Json& json, const std::string& where);

  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace weft
