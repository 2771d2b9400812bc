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
    stages_.push_back({std::make_unique<DigitScanner>(individual)});
  } else if (type == "Split") {
    add_split(json, where);
  } else if (type == "ByteLevel") {
    add_byte_level(json, where);
  } else {
    throw InputError(where + ": unknown pre_tokenizer \"" + type +
                     "\", expected ByteLevel, Digits, Split or Sequence");
  }
}

void PreTokenizer::add_split(const Json& json, const std::string& where) {
  Stage stage;
  const auto behavior = get_field<std::string>(json, "behavior", where);
  if (behavior != "Isolated" && behavior != "Removed") {
    throw InputError(where + ".behavior: expected Isolated or Removed, got \"" + behavior + "\"");
  }
  stage.drop_matches = behavior == "Removed";
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

void PreTokenizer::split(std::string_view text, Pieces& pieces) const {
  pieces.views.assign(1, text);
  pieces.owned.clear();
  std::vector<std::string_view> next;
  std::vector<Span> spans;
  for (const Stage& stage : stages_) {
    next.clear();
    for (std::string_view piece : pieces.views) {
      if (stage.prefix_space && !piece.starts_with(' ')) {
        piece = pieces.owned.emplace_back(" " + std::string(piece));
      }
      if (!stage.scanner) {
        next.push_back(piece);
        continue;
      }
      stage.scanner->scan(piece, spans);
      for (const Span& span : spans) {
        if (stage.drop_matches && span.matched != stage.invert) continue;
        next.push_back(piece.substr(span.begin, span.end - span.begin));
      }
    }
    pieces.views.swap(next);
  }
}

}  // namespace weft
