#include "tests/model/tokenizer/fuzz/mutator.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/support.h"

namespace weft::fuzz {
namespace {

constexpr const char* kWords[] = {"{{ ",
                                  " }}",
                                  "{% ",
                                  " %}",
                                  "{%- ",
                                  " -%}",
                                  "{# ",
                                  " #}",
                                  "if ",
                                  "elif ",
                                  "else ",
                                  "endif ",
                                  "for x in ",
                                  "endfor ",
                                  "set ns.x = ",
                                  "set x = ",
                                  "set x ",
                                  "endset ",
                                  "macro f(x, y=1) ",
                                  "endmacro ",
                                  "call f(1) ",
                                  "endcall ",
                                  "with x = 1 ",
                                  "endwith ",
                                  "filter upper ",
                                  "endfilter ",
                                  "break ",
                                  "continue ",
                                  "raw ",
                                  "endraw ",
                                  "generation ",
                                  "endgeneration ",
                                  "namespace(x=ns) ",
                                  "ns",
                                  ".x",
                                  "loop",
                                  "loop.changed(x) ",
                                  "caller()",
                                  "varargs",
                                  "kwargs",
                                  "range(9)",
                                  "range(99999)",
                                  "dict(a=x)",
                                  "joiner()",
                                  "messages",
                                  "messages[0]",
                                  "['role']",
                                  "[1:]",
                                  "[::-1]",
                                  "[-1]",
                                  "tools",
                                  "big",
                                  "2 ** 127",
                                  "-1",
                                  "0",
                                  "1.5",
                                  "1e308",
                                  "'a'",
                                  "'\xC3\xA9'",
                                  "''",
                                  "none",
                                  "true",
                                  "[x, x]",
                                  "(x,)",
                                  "{'a': x}",
                                  " ~ ",
                                  " + ",
                                  " - ",
                                  " * ",
                                  " / ",
                                  " // ",
                                  " % ",
                                  " ** ",
                                  " == ",
                                  " < ",
                                  " in ",
                                  " not in ",
                                  " and ",
                                  " or ",
                                  " not ",
                                  " if x else ",
                                  " is defined ",
                                  " is odd ",
                                  " is string ",
                                  " | length ",
                                  " | tojson(indent=2) ",
                                  " | list ",
                                  " | join(',') ",
                                  " | sort ",
                                  " | dictsort ",
                                  " | map('upper') ",
                                  " | map(attribute='a') ",
                                  " | selectattr('a', 'eq', 1) ",
                                  " | select ",
                                  " | unique ",
                                  " | first ",
                                  " | last ",
                                  " | reverse ",
                                  " | int ",
                                  " | float ",
                                  " | round(2) ",
                                  " | indent ",
                                  " | title ",
                                  " | safe ",
                                  " | e ",
                                  " | default('d') ",
                                  " | max ",
                                  " | sum ",
                                  ".items()",
                                  ".get('a')",
                                  ".split('a')",
                                  ".rsplit(none, 1)",
                                  ".replace('', 'x')",
                                  ".strip('a')",
                                  ".format(x, y=1)",
                                  ".index(x)",
                                  ".partition('a')",
                                  ".title()",
                                  "'{:>9}{0[a]}'",
                                  "'%5.2f%s'",
                                  "(",
                                  ")",
                                  "[",
                                  "]",
                                  "{",
                                  "}",
                                  ","};

}  // namespace

TemplateMutator::TemplateMutator(uint64_t seed) : random_(seed) {
  const Json fixture = read_json_file(test::fixture("jinja_templates.json"));
  for (const Json& item : fixture["cases"]) {
    if (item.contains("template")) seeds_.push_back(item["template"].get<std::string>());
  }
  const auto corpus = test::source_dir() / "tests/model/tokenizer/fuzz/corpus";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(corpus))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) seeds_.push_back(read_file(file));
}

size_t TemplateMutator::below(size_t bound) { return bound == 0 ? 0 : random_() % bound; }

std::string TemplateMutator::piece_of(const std::string& text) {
  const size_t begin = below(text.size() + 1);
  return text.substr(begin, below(40));
}

void TemplateMutator::change(std::string& text) {
  const size_t at = below(text.size() + 1);
  switch (below(6)) {
    case 0:
      text.erase(at, below(20));
      break;
    case 1:
      text.insert(at, piece_of(text));
      break;
    case 2:
      text.insert(at, piece_of(seeds_[below(seeds_.size())]));
      break;
    case 3:
      if (at < text.size()) text[at] = static_cast<char>(below(256));
      break;
    default:
      text.insert(at, kWords[below(std::size(kWords))]);
  }
}

std::string TemplateMutator::next() {
  std::string text = seeds_[below(seeds_.size())];
  for (size_t changes = 1 + below(8); changes > 0; --changes) change(text);
  return text;
}

}  // namespace weft::fuzz
