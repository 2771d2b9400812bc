#include "model/tokenizer/jinja/print.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/objects.h"

namespace weft::jinja {

using namespace python;
namespace {

void append_hex(std::string& out, const char* format, unsigned code) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, format, code);
  out += buffer;
}

// A quotation mark is escaped only when the other one is in the text too, as Python does.
std::string quoted(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const bool has_double = text.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = decode_utf8(text, i);
    const auto code = static_cast<unsigned>(c.code);
    if (code == '\n' || code == '\t' || code == '\r') {
      out += code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r";
    } else if (!is_printable(c.code)) {
      append_hex(out, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
    } else {
      if (code == '\\' || code == static_cast<unsigned char>(quote)) out += '\\';
      out += text.substr(i, static_cast<size_t>(c.length));
    }
    i += static_cast<size_t>(c.length);
  }
  return out + quote;
}

// Python prints an address.
[[noreturn]] void refuse(const Value& value) {
  throw InputError("the text of a " + value.type_name() + " is not known here");
}

class Repr {
 public:
  explicit Repr(Context& context) : context_(context) {}

  std::string take(const Value& value) {
    write(value);
    return std::move(out_);
  }

 private:
  void add(const std::string& text) {
    context_.text(text.size());
    out_ += text;
  }

  void write(const Value& value) {
    const Context::Level level(context_);
    context_.step();
    if (value.is_undefined()) {
      add("Undefined");
    } else if (value.is_none()) {
      add("None");
    } else if (value.is_bool()) {
      add(value.truthy() ? "True" : "False");
    } else if (value.is_int()) {
      add(int_text(value.as_int()));
    } else if (value.is_float()) {
      add(float_text(value.as_float()));
    } else if (value.is_string()) {
      add(quoted(value.as_string()));
    } else if (value.is_mapping()) {
      write_mapping(value.as_mapping());
    } else if (value.is_sequence() && !value.is_iterator()) {
      write_sequence(value.as_sequence());
    } else if (value.is_object()) {
      write_object(value);
    } else {
      refuse(value);
    }
  }

  void write_mapping(const Mapping& mapping) {
    add("{");
    bool first = true;
    for (const auto& [key, item] : mapping.entries()) {
      if (!first) add(", ");
      first = false;
      write(key);
      add(": ");
      write(item);
    }
    add("}");
  }

  void write_sequence(const Sequence& sequence) {
    static const std::pair<const char*, const char*> kBrackets[] = {{"[", "]"},
                                                                    {"(", ")"},
                                                                    {"", ""},
                                                                    {"dict_keys([", "])"},
                                                                    {"dict_values([", "])"},
                                                                    {"dict_items([", "])"}};
    if (sequence.kind == SequenceKind::kRange) {
      add("range(" + int_text(sequence.begin) + ", " + int_text(sequence.end));
      add(sequence.step == 1 ? ")" : ", " + int_text(sequence.step) + ")");
      return;
    }
    const auto& [open, close] = kBrackets[static_cast<size_t>(sequence.kind)];
    add(open);
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) add(", ");
      write(sequence.items[i]);
    }
    if (sequence.kind == SequenceKind::kTuple && sequence.items.size() == 1) add(",");
    add(close);
  }

  void write_object(const Value& value) {
    const Object* object = value.as_object().get();
    if (const auto* loop = dynamic_cast<const Loop*>(object)) {
      add("<LoopContext " + std::to_string(loop->index + 1) + "/" +
          std::to_string(loop->items.size()) + ">");
      return;
    }
    const auto* space = dynamic_cast<const Namespace*>(object);
    if (!space) refuse(value);
    add("<Namespace ");
    if (std::find(open_.begin(), open_.end(), object) != open_.end()) {
      add("{...}");
    } else {
      open_.push_back(object);
      write_mapping(space->variables);
      open_.pop_back();
    }
    add(">");
  }

  Context& context_;
  std::string out_;
  std::vector<const Object*> open_;  // namespaces that are being written
};

class JsonText {
 public:
  JsonText(Context& context, const JsonStyle& style) : context_(context), style_(style) {}

  std::string take(const Value& value) {
    write(value, 0);
    return std::move(out_);
  }

 private:
  void add(const std::string& text) {
    context_.text(text.size());
    out_ += text;
  }

  void new_line(int depth) {
    if (!style_.lines) return;
    add("\n");
    for (int i = 0; i < depth; ++i) add(style_.indent);
  }

  void write(const Value& value, int depth) {
    context_.step();
    const bool array = value.is_list() || value.is_tuple();
    if (array || value.is_mapping()) {
      write_items(value, depth);
    } else if (value.is_string()) {
      write_string(value.as_string());
    } else {
      add(scalar(value));
    }
  }

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.truthy() ? "true" : "false";
    if (value.is_int()) return int_text(value.as_int());
    if (!value.is_float()) wrong_type("a value for tojson", value);
    const double number = value.as_float();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
    return float_text(number);
  }

  void write_items(const Value& value, int depth) {
    const bool mapping = value.is_mapping();
    const size_t size = mapping ? value.as_mapping().size() : value.as_sequence().items.size();
    if (size == 0) return add(mapping ? "{}" : "[]");
    add(mapping ? "{" : "[");
    std::vector<std::pair<Value, Value>> entries;
    if (mapping) entries = value.as_mapping().entries();
    context_.step(entries.size());
    if (mapping && style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) {
        return less(context_, a.first, b.first);
      });
    }
    for (size_t i = 0; i < size; ++i) {
      if (i > 0) add(style_.item_separator);
      new_line(depth + 1);
      if (!mapping) {
        write(value.as_sequence().items[i], depth + 1);
        continue;
      }
      const Value& key = entries[i].first;
      write_string(key.is_string() ? key.as_string() : scalar(key));
      add(style_.key_separator);
      write(entries[i].second, depth + 1);
    }
    new_line(depth);
    add(mapping ? "}" : "]");
  }

  void write_string(const std::string& text) {
    std::string out = "\"";
    for (size_t i = 0; i < text.size();) {
      const Utf8Char c = decode_utf8(text, i);
      append_character(out, text.substr(i, static_cast<size_t>(c.length)),
                       static_cast<unsigned>(c.code));
      i += static_cast<size_t>(c.length);
    }
    add(out + "\"");
  }

  void append_character(std::string& out, const std::string& bytes, unsigned code) const {
    static const std::string kNamed = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
    const size_t named = code < 0x80 ? kNamed.find(static_cast<char>(code)) : std::string::npos;
    if (named != std::string::npos) {
      out += '\\';
      out += kLetters[named];
    } else if (code >= 0x10000 && style_.ensure_ascii) {
      append_hex(out, "\\u%04x", 0xD800 + ((code - 0x10000) >> 10));
      append_hex(out, "\\u%04x", 0xDC00 + ((code - 0x10000) & 0x3FF));
    } else if (code < 0x20 || (code >= 0x7F && style_.ensure_ascii)) {
      append_hex(out, "\\u%04x", code);
    } else {
      out += bytes;
    }
  }

  Context& context_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string to_text(Context& context, const Value& value) {
  if (value.is_undefined()) return {};
  if (value.is_string() || value.is_markup()) {
    const std::string& text = value.is_string() ? value.as_string() : value.as_markup();
    context.text(text.size());
    return text;
  }
  return to_repr(context, value);
}

std::string to_repr(Context& context, const Value& value) { return Repr(context).take(value); }

std::string to_json(Context& context, const Value& value, const JsonStyle& style) {
  return JsonText(context, style).take(value);
}

}  // namespace weft::jinja
