#include "trainer/evaluate/headlines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace weft {

namespace {

constexpr std::array<std::pair<const char*, const char*>, 5> kRivalClasses = {{
    {"single_call", "single call of the worker"},
    {"repeated_calls", "several calls of the worker"},
    {"one_workflow", "one workflow for every query"},
    {"other_query", "control: workflows written for other queries"},
    {"samples", "file of samples"},
}};

double mean_score(const Contender& contender, const BootstrapOptions& options, Interval bounds) {
  return estimate_mean(contender.scores, options, bounds).mean;
}

/// The method's tokens a query over its rival's.
Json tokens_ratio(const Json& method, const Json& rival) {
  const Json& own = method["tokens_mean"];
  const Json& other = rival["tokens_mean"];
  if (!own.is_number() || !other.is_number() || other.get<double>() <= 0) return nullptr;
  return own.get<double>() / other.get<double>();
}

/// The sentence of a headline.
std::string words_of(const Json& headline) {
  const auto method = headline["method"].get<std::string>(),
             rival = headline["against"].get<std::string>();
  std::string text =
      fmt::format("{} against {} ({}", method, rival, headline["class_words"].get<std::string>());
  if (headline["among"].size() > 1) {
    text += fmt::format(", the strongest of {}",
                        fmt::join(headline["among"].get<std::vector<std::string>>(), ", "));
  }
  text += "): ";
  if (!headline["ci95"][0].is_number()) return text + "inconclusive, no interval";
  text += fmt::format("{:+.3f}, {} (95 % interval {:+.3f} to {:+.3f}, {} tasks",
                      headline["diff"].get<double>(), headline["reading"].get<std::string>(),
                      headline["ci95"][0].get<double>(), headline["ci95"][1].get<double>(),
                      headline["n"].get<int64_t>());
  const Json& ratio = headline["tokens_ratio"];
  if (ratio.is_number()) text += fmt::format(", {:.1f} times the tokens", ratio.get<double>());
  return text + ")";
}

}  // namespace

std::string method_class(const Method& method) {
  if (method.kind == MethodKind::kShuffled) return "other_query";
  if (method.spec.starts_with("samples:")) return "samples";
  if (method.kind != MethodKind::kFixed) return "meta_agent";
  if (method.spec == "cot_sc") return "repeated_calls";
  return method.spec.starts_with("workflow:") ? "one_workflow" : "single_call";
}

std::optional<Comparison> compare_with_strongest(const TaskValues& subject,
                                                 std::span<const Contender> rivals,
                                                 const BootstrapOptions& options, Interval bounds) {
  std::optional<size_t> strongest;
  double best = 0;
  for (size_t i = 0; i < rivals.size(); ++i) {
    const double mean = mean_score(rivals[i], options, bounds);
    if (!(mean == mean) || (strongest && mean <= best)) continue;
    strongest = i;
    best = mean;
  }
  if (!strongest) return std::nullopt;
  return Comparison{*strongest,
                    estimate_difference(subject, rivals[*strongest].scores, options, bounds)};
}

Json summarise_headlines(const std::vector<Method>& methods,
                         const std::vector<std::vector<double>>& scores, const Json& methods_json,
                         const BootstrapOptions& bootstrap) {
  Json headlines = Json::array();
  const auto last = std::find_if(methods.rbegin(), methods.rend(), [](const Method& method) {
    return method_class(method) == "meta_agent";
  });
  if (last == methods.rend()) return headlines;
  const auto subject = static_cast<size_t>(methods.rend() - last) - 1;
  for (const auto& [name, words] : kRivalClasses) {
    std::vector<Contender> rivals;
    std::vector<size_t> places;
    Json among = Json::array();
    for (size_t i = 0; i < methods.size(); ++i) {
      if (method_class(methods[i]) != name) continue;
      rivals.push_back({methods[i].name, one_each(scores[i])});
      places.push_back(i);
      among.push_back(methods[i].name);
    }
    const auto comparison = compare_with_strongest(one_each(scores[subject]), rivals, bootstrap);
    if (!comparison) continue;
    Json headline = {{"method", methods[subject].name},
                     {"class", name},
                     {"class_words", words},
                     {"against", rivals[comparison->strongest].name},
                     {"among", std::move(among)}};
    add_estimate(headline, "diff", comparison->difference);
    headline["reading"] = reading_of(comparison->difference.ci);
    headline["tokens_ratio"] =
        tokens_ratio(methods_json[subject], methods_json[places[comparison->strongest]]);
    headline["words"] = words_of(headline);
    headlines.push_back(std::move(headline));
  }
  return headlines;
}

}  // namespace weft
