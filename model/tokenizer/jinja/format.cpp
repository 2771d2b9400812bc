#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

constexpr int kMaxWidth = 10000;

struct Spec {
  std::string fill = " ";
  char align = 0;
  char sign = '-';
  bool zero = false;
  int width = 0;
  bool comma = false;
  int precision = -1;
  char type = 0;
};

class SpecReader {
 public:
  explicit SpecReader(const std::string& text) : text_(text) {}

  Spec read() {
    Spec spec;
    read_align(spec);
    if (is_one_of("+- ")) spec.sign = text_[at_++];
    if (is_one_of("0")) {
      spec.zero = true;
      ++at_;
    }
    spec.width = std::max(0, read_number());
    if (is_one_of(",")) {
      spec.comma = true;
      ++at_;
    }
    if (is_one_of(".")) {
      ++at_;
      if ((spec.precision = read_number()) < 0) fail();
    }
    if (at_ < text_.size()) spec.type = text_[at_++];
    if (at_ < text_.size()) fail();
    return spec;
  }

 private:
  [[noreturn]] void fail() const {
    throw InputError("the format \"" + text_ + "\" is not known here");
  }

  bool is_one_of(std::string_view set, size_t ahead = 0) const {
    return at_ + ahead < text_.size() && set.find(text_[at_ + ahead]) != std::string_view::npos;
  }

  void read_align(Spec& spec) {
    if (text_.empty()) return;
    const auto size = static_cast<size_t>(decode_utf8(text_, 0).length);
    if (is_one_of("<>=^", size)) {
      spec.fill = text_.substr(0, size);
      at_ = size;
    }
    if (is_one_of("<>=^")) spec.align = text_[at_++];
  }

  int read_number() {
    const size_t begin = at_;
    int value = 0;
    while (is_one_of("0123456789")) {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kMaxWidth) fail();
    }
    return at_ == begin ? -1 : value;
  }

  const std::string& text_;
  size_t at_ = 0;
};

std::string repeated(const std::string& text, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

// `sign` and `prefix` stay in front of what fills up the width.
std::string padded(const Spec& spec, const std::string& sign, const std::string& body,
                   char default_align) {
  const size_t size = count_characters(sign) + count_characters(body);
  const auto width = static_cast<size_t>(spec.width);
  const size_t missing = width > size ? width - size : 0;
  const char align = spec.align ? spec.align : spec.zero ? '=' : default_align;
  const std::string& fill = spec.zero && !spec.align ? std::string("0") : spec.fill;
  if (align == '=') return sign + repeated(fill, missing) + body;
  if (align == '<') return sign + body + repeated(fill, missing);
  if (align == '>') return repeated(fill, missing) + sign + body;
  return repeated(fill, missing / 2) + sign + body + repeated(fill, missing - missing / 2);
}

std::string with_commas(const std::string& digits) {
  const size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i > 0 && (whole - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(whole);
}

std::string format_number(const Spec& spec, bool negative, std::string digits) {
  if (spec.comma) digits = with_commas(digits);
  std::string sign = negative ? "-" : "";
  if (!negative && spec.sign != '-') sign = std::string(1, spec.sign);
  return padded(spec, sign, digits, '>');
}

std::string format_float(const Spec& spec, double value) {
  const bool negative = std::signbit(value);
  const double size = std::abs(value);
  if (!std::isfinite(value)) throw InputError("the format of inf and nan is not known here");
  if (spec.type == 0 && spec.precision < 0) {
    return format_number(spec, negative, float_text(size));
  }
  if (spec.type == 0 || std::string_view("eEfFgG%").find(spec.type) == std::string_view::npos) {
    throw InputError("this format of a float is not known here");
  }
  const int precision = spec.precision < 0 ? 6 : spec.precision;
  if (spec.type != '%') {
    return format_number(spec, negative, print_float(size, precision, spec.type));
  }
  return format_number(spec, negative, print_float(size * 100, precision, 'f') + "%");
}

std::string format_int(const Spec& spec, Int value) {
  if (spec.type != 0 && std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos) {
    return format_float(spec, static_cast<double>(value));
  }
  if (spec.precision >= 0) throw InputError("an integer has no precision in a format");
  static constexpr std::string_view kTypes = "dxXob";
  const size_t type = spec.type ? kTypes.find(spec.type) : 0;
  if (type == std::string_view::npos || (spec.comma && type != 0)) {
    throw InputError("this format of an integer is not known here");
  }
  std::string digits = int_text(value, type == 0 ? 10 : type < 3 ? 16 : type == 3 ? 8 : 2);
  if (value < 0) digits.erase(0, 1);
  if (spec.type == 'X') {
    std::transform(digits.begin(), digits.end(), digits.begin(),
                   [](char c) { return static_cast<char>(std::toupper(c)); });
  }
  return format_number(spec, value < 0, digits);
}

std::string format_string(const Spec& spec, const std::string& text) {
  const bool plain = spec.sign == '-' && !spec.comma && spec.align != '=' && !spec.zero;
  if ((spec.type != 0 && spec.type != 's') || !plain) {
    throw InputError("this format of a string is not known here");
  }
  const size_t end =
      spec.precision < 0 ? text.size() : byte_of(text, static_cast<size_t>(spec.precision));
  return padded(spec, "", text.substr(0, end), '<');
}

// Reads the replacement fields of str.format.
class Formatter {
 public:
  Formatter(Context& context, const std::string& text, const Arguments& arguments)
      : context_(context), text_(text), arguments_(arguments) {}

  std::string run() {
    std::string out;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool doubled = at_ + 1 < text_.size() && text_[at_ + 1] == c;
      if ((c == '{' || c == '}') && doubled) {
        out += c;
        at_ += 2;
      } else if (c == '{') {
        out += field();
      } else if (c == '}') {
        throw InputError("format: a single '}'");
      } else {
        out += c;
        ++at_;
      }
    }
    context_.text(out.size());
    return out;
  }

 private:
  std::string field() {
    const size_t end = text_.find('}', at_);
    if (end == std::string::npos) throw InputError("format: expected '}'");
    std::string inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    if (inside.find('{') != std::string::npos) {
      throw InputError("format: a field inside a field is not known here");
    }
    std::string spec, conversion;
    const size_t colon = inside.find(':');
    if (colon != std::string::npos) {
      spec = inside.substr(colon + 1);
      inside.erase(colon);
    }
    const size_t mark = inside.find('!');
    if (mark != std::string::npos) {
      conversion = inside.substr(mark + 1);
      inside.erase(mark);
      if (conversion != "r" && conversion != "s") {
        throw InputError("format: the conversion !" + conversion + " is not known here");
      }
    }
    Value value = argument(inside);
    if (conversion == "r") value = to_repr(context_, value);
    if (conversion == "s") value = to_text(context_, value);
    return format_value(context_, value, spec);
  }

  Value argument(const std::string& path) {
    const size_t end = std::min(path.find_first_of(".["), path.size());
    Value value = first(path.substr(0, end));
    for (size_t i = end; i < path.size();) {
      if (path[i] != '[') throw InputError("format: attributes are not known here");
      const size_t close = path.find(']', i);
      if (close == std::string::npos) throw InputError("format: expected ']'");
      value = item(value, path.substr(i + 1, close - i - 1));
      i = close + 1;
    }
    return value;
  }

  Value item(const Value& value, const std::string& key) {
    const bool digits =
        !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    Value found = get_item(context_, value, digits ? Value(*parse_int(key)) : Value(key));
    if (found.is_undefined() || has_attribute(value, key)) {
      throw InputError("format: there is no item " + key);
    }
    return found;
  }

  Value first(const std::string& name) {
    const bool digits = name.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) {
      for (const auto& [key, value] : arguments_.named) {
        if (key == name) return value;
      }
      throw InputError("format: the argument " + name + " is missing");
    }
    const bool numbered = !name.empty();
    if (numbered ? counted_ : numbered_) {
      throw InputError("format: fields are numbered all or none");
    }
    (numbered ? numbered_ : counted_) = true;
    const size_t index = numbered ? (name.size() < 10 ? std::stoul(name) : SIZE_MAX) : next_++;
    if (index >= arguments_.positional.size()) throw InputError("format: an argument is missing");
    return arguments_.positional[index];
  }

  Context& context_;
  const std::string& text_;
  const Arguments& arguments_;
  size_t at_ = 0, next_ = 0;
  bool numbered_ = false, counted_ = false;
};

std::string percent_field(Context& context, const Spec& spec, char type, const Value& value) {
  Spec field = spec;
  if (type == 's' || type == 'r') {
    field.zero = false;
    if (!field.align) field.align = '>';
    return format_string(field, type == 's' ? to_text(context, value) : to_repr(context, value));
  }
  if (field.align == '<') field.zero = false;
  const bool floats = std::string_view("eEfFgG").find(type) != std::string_view::npos;
  if (!floats && std::string_view("dixXo").find(type) == std::string_view::npos) {
    throw InputError(std::string("%: the conversion ") + type + " is not known here");
  }
  field.type = type == 'i' ? 'd' : type;
  if (field.zero) field.fill = "0";
  if (field.zero) field.align = '=';
  if (floats) return format_float(field, value.as_float());
  if (value.is_float() && field.type != 'd') wrong_type("an integer", value);
  return format_int(field, value.is_float() ? truncated(value.as_float()) : value.as_int());
}

}  // namespace

std::string format_value(Context& context, const Value& value, const std::string& spec) {
  if (spec.empty()) return to_text(context, value);
  const Spec parsed = SpecReader(spec).read();
  context.text(static_cast<size_t>(parsed.width));
  if (value.is_string()) return format_string(parsed, value.as_string());
  if (value.is_float()) return format_float(parsed, value.as_float());
  if (value.is_bool() && parsed.type == 0)
    throw InputError("this format of a boolean is not known here");
  if (value.is_integral()) return format_int(parsed, value.as_int());
  throw InputError("a " + value.type_name() + " has no format \"" + spec + "\"");
}

std::string format_text(Context& context, const std::string& text, const Arguments& arguments) {
  return Formatter(context, text, arguments).run();
}

std::string percent_text(Context& context, const std::string& text, const Value& value) {
  const Items values = value.is_tuple() ? value.as_sequence().items : Items{value};
  size_t next = 0;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const size_t end = text.find_first_not_of("-+ 0123456789.", ++i);
    if (end == std::string::npos) throw InputError("%: the format is incomplete");
    std::string flags = text.substr(i, end - i);
    i = end;
    if (text[end] == '%' && flags.empty()) {
      out += '%';
      continue;
    }
    const bool left = flags.starts_with('-');
    if (left) flags = "<" + flags.substr(1);
    if (next >= values.size()) throw InputError("%: an argument is missing");
    const Spec spec = SpecReader(flags).read();
    context.text(static_cast<size_t>(spec.width));
    out += percent_field(context, spec, text[end], values[next++]);
  }
  const bool has_items = value.is_list() || value.is_mapping() || value.is_undefined() ||
                         value.is_sequence(SequenceKind::kRange);
  if (next < values.size() && !has_items) {
    throw InputError("%: not all arguments are used");
  }
  context.text(out.size());
  return out;
}

}  // namespace weft::jinja
