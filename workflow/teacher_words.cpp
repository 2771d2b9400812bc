#include "workflow/teacher_words.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <utility>
#include <vector>

#include "data/regex.h"

namespace weft {
namespace {

constexpr size_t kMaxPhraseWords = 7;

/// Printable ASCII that needs no escape in a Python string, white space collapsed.
std::string plain(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const bool blank = std::isspace(static_cast<unsigned char>(c));
    const bool bad = c < ' ' || c > '~' || std::string("\"'\\`{}").find(c) != std::string::npos;
    if (blank && !result.empty() && result.back() != ' ') result += ' ';
    if (!blank && !bad) result += c;
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

/// Up to kMaxPhraseWords words, ended by punctuation and stripped of a weak last word.
std::string clip_phrase(const std::string& text) {
  static const std::vector<std::string> kWeak = {"a",  "an", "the", "of",   "in",    "and",  "or",
                                                 "to", "if", "is",  "with", "where", "for",  "that",
                                                 "by", "as", "on",  "from", "when",  "which"};
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; words.size() < kMaxPhraseWords && in >> word;) {
    const bool ends = std::string(".,;:?!(").find(word.back()) != std::string::npos;
    if (word.front() == '(') break;
    while (!word.empty() && std::ispunct(static_cast<unsigned char>(word.back())) &&
           word.back() != ')' && word.back() != ']') {
      word.pop_back();
    }
    if (word.empty()) break;
    words.push_back(word);
    if (ends) break;
  }
  while (!words.empty() && std::find(kWeak.begin(), kWeak.end(), words.back()) != kWeak.end()) {
    words.pop_back();
  }
  std::string phrase;
  for (const auto& word : words) phrase += (phrase.empty() ? "" : " ") + word;
  return phrase;
}

/// What the function does, by the first relative clause or verb of returning; empty if none.
std::string predicate_of(const std::string& prompt) {
  static const Regex kClause(R"(\b(?:that|which)\s+([a-z]+s\b[^\n]{3,}))");
  static const Regex kVerb(R"((?i)\b((?:returns?|computes?|finds?|counts?|checks?)\s+[^\n]{3,}))");
  for (const Regex* rule : {&kClause, &kVerb}) {
    const auto match = rule->match(prompt);
    const std::string phrase = match ? clip_phrase(match->at(1)) : "";
    if (phrase.find(' ') == std::string::npos) continue;
    return static_cast<char>(std::tolower(static_cast<unsigned char>(phrase[0]))) +
           phrase.substr(1);
  }
  return "";
}

/// The last question of the text, else its first words.
std::string question_of(const std::string& prompt) {
  static const Regex kQuestion(R"(([^.?!]{3,})\?)");
  const auto questions = kQuestion.find_groups(prompt, 1);
  const std::string phrase = clip_phrase(questions.empty() ? prompt : questions.back());
  return phrase.empty() ? "the answer" : phrase;
}

/// "f(a, b)" without annotations and defaults, when the prompt writes the entry point with names.
std::string call_of(const std::string& entry, const std::string& prompt) {
  static const Regex kName(R"(^\s*\*{0,2}([A-Za-z_]\w{0,15})\s*(?:[:=].*)?$)");
  const size_t at = prompt.find(entry + "(");
  if (at == std::string::npos) return entry;
  const size_t open = at + entry.size();
  const size_t close = prompt.find(')', open);
  if (close == std::string::npos || close - open > 120) return entry;
  std::istringstream arguments(prompt.substr(open + 1, close - open - 1));
  std::string call;
  for (std::string argument; std::getline(arguments, argument, ',');) {
    const auto name = kName.match(argument);
    if (!name) return entry;
    call += (call.empty() ? "" : ", ") + name->at(1);
  }
  return entry + "(" + call + ")";
}

std::string topic_of(const std::string& prompt) {
  static const std::pair<Regex, const char*> kTopics[] = {
      {Regex(R"((?i)\b(grid|matrix|matrices|rows?|board)\b)"), "grid"},
      {Regex(R"((?i)\b(dict|dicts|dictionary|mapping|keys)\b)"), "dictionary"},
      {Regex(R"((?i)\b(strings?|words?|text|characters?|letters?|vowels?|sentence)\b)"), "string"},
      {Regex(R"((?i)\b(lists?|array|elements|items|tuples?|sequence)\b)"), "list"},
      {Regex(R"((?i)\b(numbers?|integers?|digits?|primes?|sum|factorial|divisors?)\b)"), "number"}};
  for (const auto& [pattern, topic] : kTopics) {
    if (pattern.match(prompt)) return topic;
  }
  return "Python";
}

}  // namespace

QueryWords words_of(const Task& task) {
  QueryWords words;
  const std::string prompt = plain(task.prompt);
  words.entry = plain(task.entry_point);
  words.call = words.entry.empty() ? "" : call_of(words.entry, prompt);
  if (words.entry.empty()) {
    words.entry = words.call = task.kind == TaskKind::kCode ? "the program" : "the answer";
  }
  if (!task.entry_point.empty()) words.phrase = predicate_of(prompt);
  words.is_predicate = !words.phrase.empty();
  if (!words.is_predicate) words.phrase = question_of(prompt);
  words.topic = topic_of(prompt);
  return words;
}

}  // namespace weft
