#include "trainer/evaluate/breakdown.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/jsonl.h"

namespace weft {

namespace {

using Members = std::map<std::string, std::vector<size_t>>;  ///< name -> places of its tasks

void add_categories(const char* by, const Members& members, const std::vector<Method>& methods,
                    const ScoreTable& scores, const BootstrapOptions& bootstrap, Json& list) {
  if (members.size() < 2) return;
  for (const auto& [name, places] : members) {
    Json of_methods = Json::object();
    for (size_t method = 0; method < methods.size(); ++method) {
      std::vector<double> values;
      for (const size_t place : places) values.push_back(scores[method][place]);
      add_estimate(of_methods[methods[method].name], "score",
                   estimate_mean(one_each(values), bootstrap));
    }
    list.push_back(
        {{"by", by}, {"name", name}, {"tasks", places.size()}, {"methods", std::move(of_methods)}});
  }
}

}  // namespace

TaskFamilies load_families(const std::vector<std::string>& files) {
  TaskFamilies families;
  for (const std::string& file : files) {
    JsonlReader reader(file);
    for (JsonlLine line; reader.next(line);) {
      if (!line.error.empty()) throw InputError(line.error);
      const std::string where = reader.where(line);
      const std::string family = get_field_or<std::string>(line.value, "family", "", where);
      if (!family.empty()) families[get_field<std::string>(line.value, "id", where)] = family;
    }
  }
  return families;
}

Json summarise_categories(const std::vector<Task>& tasks, const TaskFamilies& families,
                          const std::vector<Method>& methods, const ScoreTable& scores,
                          const BootstrapOptions& bootstrap) {
  Members datasets, kinds, of_family;
  for (size_t place = 0; place < tasks.size(); ++place) {
    datasets[tasks[place].dataset].push_back(place);
    kinds[to_string(tasks[place].kind)].push_back(place);
    const auto family = families.find(tasks[place].id);
    if (family != families.end()) of_family[family->second].push_back(place);
  }
  Json list = Json::array();
  add_categories("dataset", datasets, methods, scores, bootstrap, list);
  add_categories("kind", kinds, methods, scores, bootstrap, list);
  add_categories("family", of_family, methods, scores, bootstrap, list);
  return list;
}

Json cost_front(const Json& methods) {
  const auto has_money = [](const Json& method) {
    const Json usd = method.value("usd_mean", Json());
    return usd.is_number() && usd.get<double>() > 0;
  };
  const char* cost =
      std::any_of(methods.begin(), methods.end(), has_money) ? "usd_mean" : "tokens_mean";
  struct Point {
    double cost, score;
    std::string name;
  };
  std::vector<Point> points;
  for (const Json& method : methods) {
    const Json x = method.value(cost, Json()), y = method.value("score", Json());
    if (!x.is_number() || !y.is_number()) continue;
    points.push_back({x.get<double>(), y.get<double>(), method["name"].get<std::string>()});
  }
  std::stable_sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
    return std::pair(a.cost, a.score) < std::pair(b.cost, b.score);
  });
  Json names = Json::array();
  for (const Point& point : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const Point& other) {
      return (other.cost <= point.cost && other.score > point.score) ||
             (other.cost < point.cost && other.score >= point.score);
    });
    if (!beaten) names.push_back(point.name);
  }
  return {{"cost", cost}, {"methods", std::move(names)}};
}

}  // namespace weft
