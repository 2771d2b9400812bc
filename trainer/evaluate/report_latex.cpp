#include <fmt/format.h>

#include <algorithm>

#include "trainer/evaluate/report.h"

namespace weft {

namespace {

std::string number(const Json& value, int digits) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "--";
}

std::string signed_number(const Json& value) {
  return value.is_number() ? fmt::format("${:+.3f}$", value.get<double>()) : "--";
}

std::string interval(const Json& ci) {
  if (!ci[0].is_number()) return "--";
  return fmt::format("$[{:.3f}, {:.3f}]$", ci[0].get<double>(), ci[1].get<double>());
}

std::string methods_table(const Json& report) {
  double best = -1;
  for (const Json& m : report["methods"]) {
    if (m["score"].is_number()) best = std::max(best, m["score"].get<double>());
  }
  std::string text =
      "\\begin{tabular}{lrrrrrr}\n\\toprule\n"
      "Method & Score & 95\\,\\% interval & Tasks & Worker tokens & Meta-agent tokens & USD \\\\\n"
      "\\midrule\n";
  for (const Json& m : report["methods"]) {
    std::string score = number(m["score"], 3);
    if (m["score"].is_number() && m["score"] == best) score = "\\textbf{" + score + "}";
    text +=
        fmt::format("{} & {} & {} & {} & {} & {} & {} \\\\\n", latex_text(m["name"]), score,
                    interval(m["ci95"]), m["n"].get<int64_t>(), number(m["worker_tokens_mean"], 0),
                    number(m["meta_tokens_mean"], 0), number(m["usd_mean"], 6));
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string pairs_table(const Json& report) {
  std::string text =
      "\\begin{tabular}{llrrrr}\n\\toprule\n"
      "$a$ & $b$ & $a - b$ & 95\\,\\% interval & Tasks & McNemar $p$ \\\\\n\\midrule\n";
  for (const Json& p : report["pairs"]) {
    const Json test = p.value("mcnemar", Json::object());
    const Json chance = test.value("p", Json());
    text += fmt::format(
        "{} & {} & {} & {} & {} & {} \\\\\n", latex_text(p["a"]), latex_text(p["b"]),
        signed_number(p["diff"]), interval(p["ci95"]), p["n"].get<int64_t>(),
        chance.is_number() && chance.get<double>() < 0.001 ? "$<0.001$" : number(chance, 3));
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string table(const std::string& content, const std::string& caption, const char* label) {
  return fmt::format(
      "\n\\begin{{table}}\n\\centering\n{}\\caption{{{}}}\n\\label{{{}}}\n\\end{{table}}\n",
      content, caption, label);
}

}  // namespace

std::string latex_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '\\':
        escaped += "\\textbackslash{}";
        break;
      case '~':
        escaped += "\\textasciitilde{}";
        break;
      case '^':
        escaped += "\\textasciicircum{}";
        break;
      case '<':
        escaped += "\\textless{}";
        break;
      case '>':
        escaped += "\\textgreater{}";
        break;
      case '|':
        escaped += "\\textbar{}";
        break;
      case '"':
        escaped += "\\textquotedbl{}";
        break;
      case '&':
      case '%':
      case '$':
      case '#':
      case '_':
      case '{':
      case '}':
        escaped += '\\';
        escaped += c;
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

std::string latex_report(const Json& report) {
  const Json& summary = report["summary"];
  std::string text = "% Needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}.\n";
  text += table(methods_table(report),
                fmt::format("{}. Worker: {}. {} Tokens and USD are means a query.",
                            latex_text(summary["title"]), latex_text(summary["worker"]),
                            latex_text(summary["score_meaning"])),
                "tab:methods");
  if (report["pairs"].empty()) return text;
  return text + table(pairs_table(report),
                      "Paired differences over the tasks that both methods have, not corrected for "
                      "their number.",
                      "tab:pairs");
}

}  // namespace weft
