/// The `pre_tokenizer` of a tokenizer.json: cuts text into the pieces that BPE merges within.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/tokenizer/metaspace.h"
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
  /// Knows ByteLevel, Metaspace, Digits, Split (a Regex or String, with each behavior) and
  /// Sequence; null leaves the text whole. Throws InputError naming any other component.
  PreTokenizer(const Json& json, const std::string& where);

  /// `text` is valid UTF-8 and outlives the pieces; `opens` says that nothing stands before it in
  /// the whole text. Replaces what `pieces` held.
  void split(std::string_view text, bool opens, Pieces& pieces) const;

  /// Whether a ByteLevel stage maps bytes to the vocabulary's 256 printable characters.
  bool byte_level() const { return byte_level_; }

 private:
  /// What becomes of a match.
  enum class Behavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Stage {
    std::unique_ptr<Scanner> scanner;  ///< null: pieces are not cut
    bool invert = false;               ///< gaps count as matches and matches as gaps
    Behavior behavior = Behavior::kIsolated;
    bool prefix_space = false;  ///< ByteLevel's add_prefix_space
    std::optional<MetaspaceOptions> metaspace;
  };

  static Behavior read_behavior(const Json& json, const std::string& where);
  static void arrange(const Stage& stage, std::vector<Span>& spans);
  static std::string_view prepared(const Stage& stage, std::string_view piece, bool opens,
                                   Pieces& pieces);
  void add_metaspace(const Json& json, const std::string& where);

  void add_stages(const Json& json, const std::string& where);
  void add_split(const Json& json, const std::string& where);
  void add_byte_level(const Json& json, const std::string& where);

  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace weft
