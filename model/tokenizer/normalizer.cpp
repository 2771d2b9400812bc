#include "model/tokenizer/normalizer.h"

#include <vector>

#include "base/error.h"
#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

class Nfc : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override { return to_nfc(text); }
};

class Nfkc : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override { return to_nfkc(text); }
};

class Lowercase : public Normalizer {
 public:
  std::string normalize(std::string_view text) const override { return to_lower(text); }
};

// Takes white space off the ends.
class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  std::string normalize(std::string_view text) const override {
    if (left_) text.remove_prefix(leading_space(text));
    if (right_) text.remove_suffix(trailing_space(text));
    return std::string(text);
  }

 private:
  bool left_, right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string normalize(std::string_view text) const override {
    return text.empty() ? std::string() : prefix_ + std::string(text);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::string normalize(std::string_view text) const override {
    std::string out;
    out.reserve(text.size());
    size_t done = 0;
    for (size_t found; (found = text.find(pattern_, done)) != std::string_view::npos;) {
      out.append(text.substr(done, found - done)).append(content_);
      done = found + pattern_.size();
    }
    return out.append(text.substr(done));
  }

 private:
  std::string pattern_, content_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> parts) : parts_(std::move(parts)) {}

  std::string normalize(std::string_view text) const override {
    std::string out(text);
    for (const auto& part : parts_) out = part->normalize(out);
    return out;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Json& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  const auto type = get_field<std::string>(json, "type", where);
  if (type == "NFC") return std::make_unique<Nfc>();
  if (type == "NFKC") return std::make_unique<Nfkc>();
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "Strip") {
    return std::make_unique<Strip>(get_field_or<bool>(json, "strip_left", false, where),
                                   get_field_or<bool>(json, "strip_right", false, where));
  }
  if (type == "Prepend") {
    return std::make_unique<Prepend>(get_field<std::string>(json, "prepend", where));
  }
  if (type == "Replace") {
    const auto pattern = get_field<Json>(json, "pattern", where);
    auto text = get_field<std::string>(pattern, "String", where + ".pattern");
    if (text.empty()) throw InputError(where + ".pattern.String: expected text, got an empty one");
    return std::make_unique<Replace>(std::move(text),
                                     get_field<std::string>(json, "content", where));
  }
  if (type == "Sequence") {
    std::vector<std::unique_ptr<Normalizer>> parts;
    for (const Json& item : get_field<Json>(json, "normalizers", where)) {
      if (auto part = make_normalizer(item, where + ".normalizers")) {
        parts.push_back(std::move(part));
      }
    }
    return std::make_unique<Sequence>(std::move(parts));
  }
  throw InputError(where + ": unknown normalizer \"" + type +
                   "\", expected NFC, NFKC, Lowercase, Strip, Prepend, Replace or Sequence");
}

}  // namespace weft
