#include "trainer/evaluate/contamination.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/python_string.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "data/scorers/words.h"
#include "data/trajectory_store.h"

namespace weft {

namespace {

/// Hashes of a text's words.
std::vector<uint64_t> word_hashes(const std::string& text) {
  std::string plain = python::lower(to_valid_utf8(text));
  std::erase_if(plain, is_ascii_punctuation);
  std::vector<uint64_t> hashes;
  for (const std::string_view word : words_of(plain)) hashes.push_back(hash64(word));
  return hashes;
}

uint64_t hash_of(std::span<const uint64_t> words) {
  uint64_t hash = words.size();
  for (const uint64_t word : words) hash = hash_combine(hash, word);
  return hash;
}

/// The different n-grams of a prompt; none of one without words.
std::unordered_set<uint64_t> ngrams_of(std::span<const uint64_t> words) {
  std::unordered_set<uint64_t> ngrams;
  const size_t length = std::min(words.size(), kContaminationWords);
  if (length == 0) return ngrams;
  for (size_t i = 0; i + length <= words.size(); ++i) {
    ngrams.insert(hash_of(words.subspan(i, length)));
  }
  return ngrams;
}

class Finder {
 public:
  explicit Finder(const std::vector<Task>& tasks) : tasks_(tasks), found_(tasks.size()) {
    std::vector<std::unordered_set<uint64_t>> ngrams;
    std::unordered_map<uint64_t, int> prompts_with;
    for (const Task& task : tasks_) {
      const auto words = word_hashes(task.prompt);
      if (!words.empty()) lengths_.insert(std::min(words.size(), kContaminationWords));
      ngrams.push_back(ngrams_of(words));
      for (const uint64_t ngram : ngrams.back()) ++prompts_with[ngram];
    }
    for (size_t task = 0; task < tasks_.size(); ++task) {
      std::vector<uint64_t> own;
      for (const uint64_t ngram : ngrams[task]) {
        if (prompts_with[ngram] == 1) own.push_back(ngram);
      }
      if (own.empty()) own.assign(ngrams[task].begin(), ngrams[task].end());
      for (const uint64_t ngram : own) sought_[ngram].push_back(task);
      found_[task].sought = own.size();
    }
  }

  void read(const std::string& file) {
    if (is_store(file)) {
      for (const Trajectory& row : TrajectoryStore(file, StoreAccess::kRead).select()) {
        take_row(file, row.id, {row.prompt, row.reasoning, row.code});
      }
      return;
    }
    JsonlReader reader(file);
    for (JsonlLine line; reader.next(line);) {
      if (!line.error.empty()) throw InputError("contamination: " + line.error);
      std::vector<std::string> texts;
      collect_texts(line.value, texts);
      take_row(file, line.number, texts);
    }
  }

  std::vector<ContaminatedTask> result() const {
    std::vector<ContaminatedTask> list;
    for (size_t task = 0; task < tasks_.size(); ++task) {
      const Found& found = found_[task];
      if (found.ngrams.empty()) continue;
      const auto count = static_cast<int64_t>(found.ngrams.size());
      list.push_back({tasks_[task].id, count,
                      static_cast<double>(count) / static_cast<double>(found.sought), found.source,
                      found.line});
    }
    return list;
  }

 private:
  struct Found {
    size_t sought = 0;
    std::unordered_set<uint64_t> ngrams;
    size_t most = 0;  ///< n-grams of one row
    std::string source;
    int64_t line = 0;
  };

  static bool is_store(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    std::string head(15, '\0');
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    return head == "SQLite format 3";
  }

  static void collect_texts(const Json& value, std::vector<std::string>& texts) {
    if (value.is_string()) texts.push_back(value.get<std::string>());
    if (!value.is_structured()) return;
    for (const Json& part : value) collect_texts(part, texts);
  }

  void take_row(const std::string& file, int64_t line, const std::vector<std::string>& texts) {
    throw_if_stopped();
    std::unordered_map<size_t, std::unordered_set<uint64_t>> of_row;
    for (const std::string& text : texts) {
      const auto words = word_hashes(text);
      for (const size_t length : lengths_) {
        for (size_t i = 0; i + length <= words.size(); ++i) {
          const uint64_t ngram = hash_of(std::span(words).subspan(i, length));
          const auto sought = sought_.find(ngram);
          if (sought == sought_.end()) continue;
          for (const size_t task : sought->second) of_row[task].insert(ngram);
        }
      }
    }
    for (const auto& [task, ngrams] : of_row) {
      Found& found = found_[task];
      found.ngrams.insert(ngrams.begin(), ngrams.end());
      if (ngrams.size() <= found.most) continue;
      found.most = ngrams.size();
      found.source = file;
      found.line = line;
    }
  }

  const std::vector<Task>& tasks_;
  std::set<size_t> lengths_;  ///< of the n-grams, in words
  std::unordered_map<uint64_t, std::vector<size_t>> sought_;
  std::vector<Found> found_;
};

}  // namespace

std::vector<ContaminatedTask> find_contamination(const std::vector<Task>& tasks,
                                                 const std::vector<std::string>& files) {
  Finder finder(tasks);
  for (const std::string& file : files) finder.read(file);
  return finder.result();
}

Json to_json(const std::vector<ContaminatedTask>& found) {
  Json list = Json::array();
  for (const ContaminatedTask& task : found) {
    list.push_back({{"task", task.task},
                    {"ngrams", task.ngrams},
                    {"share", task.share},
                    {"source", task.source},
                    {"line", task.line}});
  }
  return list;
}

void add_uncontaminated_scores(Json& methods, const ScoreTable& scores,
                               const std::vector<std::string>& tasks, const Json& found,
                               const BootstrapOptions& bootstrap) {
  std::set<std::string> contaminated;
  for (const Json& task : found) contaminated.insert(task["task"].get<std::string>());
  for (size_t method = 0; method < scores.size(); ++method) {
    std::vector<double> clean = scores[method];
    for (size_t task = 0; task < tasks.size(); ++task) {
      if (contaminated.contains(tasks[task])) {
        clean[task] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    Json& json = methods[method]["uncontaminated"] = Json::object();
    add_estimate(json, "score", estimate_mean(one_each(clean), bootstrap));
  }
}

}  // namespace weft
