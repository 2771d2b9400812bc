#include "model/tokenizer/pre_tokenizer.h"

#include "base/error.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

// Rust's char::is_numeric follows Unicode 17, which adds two ranges to the regular expressions' 16.
bool is_numeric(char32_t code) {
  return char_class(code) == CharClass::kNumber || (code >= 0x11DE0 && code <= 0x11DE9) ||
         (code >= 0x16FF4 && code <= 0x16FF6);
}

class DigitScanner : public Scanner {
 public:
  explicit DigitScanner(bool individual) : individual_(individual) {}

  void scan(std::string_view text, std::vector<Span>& spans) const override {
    spans.clear();
    for (size_t i = 0; i < text.size();) {
      const Utf8Char c = decode_utf8(text, i);
      const bool digit = is_numeric(c.code);
      if (!spans.empty() && spans.back().matched == digit && !(digit && individual_)) {
        spans.back().end += c.length;
      } else {
        spans.push_back({i, i + c.length, digit});
      }
      i += c.length;
    }
  }

 private:
  bool individual_;
};

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, const std::string& where) {
  if (!json.is_null()) add_stages(json, where);
}

void PreTokenizer::add_stages(const Json& json, const std::string& where) {
  const auto type = get_field<std::string>(json, "type", where);
  if (type == "Sequence") {
    for (const Json& item : get_field<Json>(json, "pretokenizers", where)) {
      add_stages(item, where + ".pretokenizers");
    }
  } else if (type == "Digits") {
    const bool individual = get_field_or<bool>(json, "individual_digits", false, where);
    stages_.emplace_back().scanner = std::make_unique<DigitScanner>(individual);
  } else if (type == "Split") {
    add_split(json, where);
  } else if (type == "ByteLevel") {
    add_byte_level(json, where);
  } else if (type == "Metaspace") {
    add_metaspace(json, where);
  } else {
    throw InputError(where + ": unknown pre_tokenizer \"" + type +
                     "\", expected ByteLevel, Metaspace, Digits, Split or Sequence");
  }
}

PreTokenizer::Behavior PreTokenizer::read_behavior(const Json& json, const std::string& where) {
  const auto name = get_field<std::string>(json, "behavior", where);
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  throw InputError(where + ".behavior: expected Isolated, Removed, MergedWithPrevious, " +
                   "MergedWithNext or Contiguous, got \"" + name + "\"");
}

void PreTokenizer::add_split(const Json& json, const std::string& where) {
  Stage stage;
  stage.behavior = read_behavior(json, where);
  stage.invert = get_field_or<bool>(json, "invert", false, where);
  const auto pattern = get_field<Json>(json, "pattern", where);
  const std::string at = where + ".pattern";
  stage.scanner = pattern.contains("String")
                      ? make_literal_scanner(get_field<std::string>(pattern, "String", at))
                      : make_scanner(get_field<std::string>(pattern, "Regex", at), at);
  stages_.push_back(std::move(stage));
}

void PreTokenizer::add_byte_level(const Json& json, const std::string& where) {
  Stage stage;
  stage.prefix_space = get_field_or<bool>(json, "add_prefix_space", true, where);
  if (get_field_or<bool>(json, "use_regex", true, where)) {
    stage.scanner = make_scanner(std::string(kGpt2Regex), where);
  }
  byte_level_ = true;
  if (stage.scanner || stage.prefix_space) stages_.push_back(std::move(stage));
}

void PreTokenizer::add_metaspace(const Json& json, const std::string& where) {
  Stage stage;
  stage.metaspace = MetaspaceOptions::from_json(json, where);
  if (stage.metaspace->split) stage.scanner = make_literal_scanner(stage.metaspace->replacement);
  stage.behavior = Behavior::kMergedWithNext;
  stages_.push_back(std::move(stage));
}

// Makes pieces of the spans, in order; a match merges with the gap beside it, never with a match.
void PreTokenizer::arrange(const Stage& stage, std::vector<Span>& spans) {
  for (Span& span : spans) span.matched = span.matched != stage.invert;
  std::vector<Span> pieces;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    const bool after_gap = i > 0 && !spans[i - 1].matched;
    const bool before_gap = i + 1 < spans.size() && !spans[i + 1].matched;
    const bool extends =
        (stage.behavior == Behavior::kMergedWithPrevious && span.matched && after_gap) ||
        (stage.behavior == Behavior::kContiguous && i > 0 && span.matched == spans[i - 1].matched);
    if (stage.behavior == Behavior::kRemoved && span.matched) continue;
    if (extends) {
      pieces.back().end = span.end;
    } else if (stage.behavior == Behavior::kMergedWithNext && span.matched && before_gap) {
      spans[i + 1].begin = span.begin;
    } else {
      pieces.push_back(span);
    }
  }
  spans.swap(pieces);
}

// The piece with what the stage puts into it.
std::string_view PreTokenizer::prepared(const Stage& stage, std::string_view piece, bool opens,
                                        Pieces& pieces) {
  if (stage.prefix_space && !piece.starts_with(' ')) {
    return pieces.owned.emplace_back(" " + std::string(piece));
  }
  if (!stage.metaspace) return piece;
  const MetaspaceOptions& options = *stage.metaspace;
  const bool wants = options.prepend == MetaspaceOptions::Prepend::kAlways ||
                     (options.prepend == MetaspaceOptions::Prepend::kFirst && opens);
  const bool prepends = wants && !piece.starts_with(' ') && !piece.starts_with(options.replacement);
  std::string text = prepends ? options.replacement : "";
  for (const char c : piece) {
    if (c == ' ') {
      text += options.replacement;
    } else {
      text += c;
    }
  }
  return pieces.owned.emplace_back(std::move(text));
}

void PreTokenizer::split(std::string_view text, bool opens, Pieces& pieces) const {
  pieces.views.assign(1, text);
  pieces.owned.clear();
  std::vector<std::string_view> next;
  std::vector<Span> spans;
  for (const Stage& stage : stages_) {
    next.clear();
    for (std::string_view piece : pieces.views) {
      const bool is_first = piece.data() == pieces.views[0].data();
      piece = prepared(stage, piece, opens && is_first, pieces);
      if (!stage.scanner) {
        next.push_back(piece);
        continue;
      }
      stage.scanner->scan(piece, spans);
      arrange(stage, spans);
      if (is_first && (spans.empty() || spans[0].begin > 0)) opens = false;
      for (const Span& span : spans)
        next.push_back(piece.substr(span.begin, span.end - span.begin));
    }
    pieces.views.swap(next);
  }
}

}  // namespace weft
