#include "model/remote/secret.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace weft {
namespace {

std::string trimmed_of_blanks(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

// `kept` stay as they are, beside letters and digits.
std::string percent_encoded(const std::string& text, std::string_view kept, const char* digits) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

std::string base64(const std::string& text) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

}  // namespace

Secret::Secret(const std::string& key, const std::string& where) : key_(trimmed_of_blanks(key)) {
  if (key_.empty()) throw InputError(where + ": expected a key, it is empty");
  for (const char c : key_) {
    if (std::iscntrl(static_cast<unsigned char>(c))) {
      throw InputError(
          fmt::format("{}: expected a key on one line, it holds the control character "
                      "0x{:02x}",
                      where, static_cast<unsigned char>(c)));
    }
  }
  std::string quoted = dump_json(Json(key_));
  quoted = quoted.substr(1, quoted.size() - 2);
  spellings_ = {key_, quoted, replaced(quoted, "/", "\\/"), base64(key_)};
  for (const char* kept : {"-._~", ""}) {
    for (const char* digits : {"0123456789ABCDEF", "0123456789abcdef"}) {
      spellings_.push_back(percent_encoded(key_, kept, digits));
    }
  }
  const auto longer = [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  };
  std::sort(spellings_.begin(), spellings_.end(), longer);
  spellings_.erase(std::unique(spellings_.begin(), spellings_.end()), spellings_.end());
}

Secret Secret::from_environment(const std::string& name) {
  if (name.empty()) return {};
  const std::string where = "api_key_env: the environment variable " + name;
  const char* key = std::getenv(name.c_str());
  if (!key) throw InputError(where + ": expected a key, it is not set");
  return Secret(key, where);
}

std::string Secret::scrub(std::string text) const {
  for (const std::string& spelling : spellings_) text = replaced(std::move(text), spelling, "***");
  return text;
}

}  // namespace weft
