// The plan of the house (docs/architecture.md) as a test: who may include whom, where LibTorch may
// appear, and where hidden tests may be read.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <set>

#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using Includes = std::map<std::string, std::vector<std::string>>;  // file -> included paths

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {"base"}},
    {"net", {"base", "net"}},
    {"data", {"base", "data"}},
    {"sandbox", {"base", "data", "sandbox"}},
    {"model", {"base", "data", "model"}},
    {"workflow", {"base", "data", "sandbox", "model", "workflow"}},
    {"trainer", {"base", "data", "sandbox", "model", "workflow", "trainer"}},
    {"serve", {"base", "net", "data", "sandbox", "model", "workflow", "serve"}}};

// Of `model/`, beside `model/` itself: the headers and folders that a room, a part of it or its
// mains may include. The most specific entry counts.
const std::map<std::string, std::set<std::string>> kMayIncludeOfModel = {
    {"base", {}},
    {"net", {}},
    {"data", {}},
    {"sandbox", {}},
    {"workflow", {"text_model.h", "sequence_model.h"}},
    {"serve", {"text_model.h", "tokenizer"}},
    {"trainer/search", {"text_model.h", "sequence_model.h"}},
    {"trainer/evaluate", {"text_model.h"}},
    {"trainer/learn",
     {"text_model.h", "sequence_model.h", "open_model.h", "device.h", "tokenizer", "checkpoint",
      "transformer", "ops", "engine"}}};
const std::set<std::string> kMainsMayIncludeOfModel = {"text_model.h", "open_model.h", "device.h",
                                                       "tokenizer"};

bool is_main(const std::string& path) { return path.ends_with("_main.cpp"); }

bool may_include_of_model(const std::string& file, const std::string& target) {
  if (file.starts_with("model/") || !target.starts_with("model/")) return true;
  const std::string name = target.substr(target.find('/') + 1);
  const std::string part = name.substr(0, name.find('/'));
  if (is_main(file) && kMainsMayIncludeOfModel.contains(part)) return true;
  for (fs::path folder = fs::path(file).parent_path(); !folder.empty();
       folder = folder.parent_path()) {
    const auto found = kMayIncludeOfModel.find(folder.string());
    if (found != kMayIncludeOfModel.end()) return found->second.contains(part);
  }
  return false;
}

Includes scan() {
  static const std::regex pattern(R"(^\s*#\s*include\s*["<]([^">]+)[">])");
  Includes includes;
  for (const auto& [room, allowed] : kMayInclude) {
    const fs::path folder = test::source_dir() / room;
    if (!fs::exists(folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu") continue;
      auto& found = includes[fs::relative(entry.path(), test::source_dir()).string()];
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_search(line, match, pattern)) found.push_back(match[1]);
      }
    }
  }
  return includes;
}

std::string room_of(const std::string& path) { return path.substr(0, path.find('/')); }

TEST(Layout, ArrowsPointOneWay) {
  const auto includes = scan();
  ASSERT_FALSE(includes.empty());
  for (const auto& [file, targets] : includes) {
    for (const auto& target : targets) {
      if (!kMayInclude.contains(room_of(target)) || target.find('/') == std::string::npos) continue;
      EXPECT_TRUE(kMayInclude.at(room_of(file)).contains(room_of(target)))
          << file << " includes " << target;
    }
  }
}

TEST(Layout, RoomsKnowOfModelsWhatTheyMay) {
  for (const auto& [file, targets] : scan()) {
    for (const auto& target : targets) {
      EXPECT_TRUE(may_include_of_model(file, target)) << file << " includes " << target;
    }
  }
  const std::pair<const char*, const char*> refused[] = {
      {"workflow/pool.cpp", "model/engine/engine.h"},
      {"trainer/search/smc.cpp", "model/engine/engine.h"},
      {"trainer/evaluate/methods.cpp", "model/open_model.h"},
      {"serve/server.cpp", "model/open_model.h"},
      {"serve/serve_main.cpp", "model/engine/engine.h"},
      {"sandbox/judge/judge.cpp", "model/text_model.h"}};
  for (const auto& [file, target] : refused) {
    EXPECT_FALSE(may_include_of_model(file, target)) << file << " includes " << target;
  }
}

TEST(Layout, SearchAndLearnDoNotMeet) {
  for (const auto& [file, targets] : scan()) {
    for (const auto& target : targets) {
      EXPECT_FALSE(file.starts_with("trainer/search/") && target.starts_with("trainer/learn/"))
          << file;
      EXPECT_FALSE(file.starts_with("trainer/learn/") && target.starts_with("trainer/search/"))
          << file;
    }
  }
}

TEST(Layout, SftAndGrpoDoNotMeet) {
  const std::map<std::string, std::set<std::string>> may_include = {
      {"update", {"update"}},
      {"run", {"update", "run"}},
      {"sft", {"update", "run", "sft"}},
      {"grpo", {"update", "run", "grpo"}}};
  const std::string learn = "trainer/learn/";
  for (const auto& [file, targets] : scan()) {
    if (!file.starts_with(learn)) continue;
    const std::string part = room_of(file.substr(learn.size()));
    ASSERT_TRUE(may_include.contains(part)) << file;
    for (const auto& target : targets) {
      if (!target.starts_with(learn)) continue;
      EXPECT_TRUE(may_include.at(part).contains(room_of(target.substr(learn.size()))))
          << file << " includes " << target;
    }
  }
}

// The parts of rooms, each with those of its room that it may include, headers by their names.
const std::map<std::string, std::map<std::string, std::set<std::string>>> kParts = {
    {"sandbox",
     {{"value", {"value", "zygote/protocol.h"}},
      {"zygote", {"zygote"}},
      {"jail", {"value", "zygote/protocol.h", "jail"}},
      {"judge", {"value", "zygote/protocol.h", "jail", "judge"}},
      {"facts", {"value", "jail", "facts"}},
      {"recorder", {"value", "jail", "judge", "recorder"}},
      {"trusted", {"value", "jail", "trusted"}},
      {"workflow", {"value", "zygote/protocol.h", "jail", "judge", "trusted", "workflow"}}}}};

bool part_may_include(const std::string& file, const std::string& target) {
  const auto room = kParts.find(room_of(file));
  if (room == kParts.end() || room_of(target) != room->first) return true;
  const auto inside = [&](const std::string& path) { return path.substr(room->first.size() + 1); };
  const auto part = room->second.find(room_of(inside(file)));
  if (part == room->second.end()) return false;
  return part->second.contains(room_of(inside(target))) || part->second.contains(inside(target));
}

TEST(Layout, PartsOfARoomKnowOnlyThoseBeforeThem) {
  for (const auto& [file, targets] : scan()) {
    for (const auto& target : targets) {
      EXPECT_TRUE(part_may_include(file, target)) << file << " includes " << target;
    }
  }
  const std::pair<const char*, const char*> refused[] = {
      {"sandbox/jail/self_test.cpp", "sandbox/judge/judge_run.h"},
      {"sandbox/value/wire.h", "sandbox/jail/job_run.h"},
      {"sandbox/zygote/codec.cpp", "sandbox/value/wire.h"},
      {"sandbox/jail/sandbox.cpp", "sandbox/zygote/jail.h"},
      {"sandbox/facts/static_facts.cpp", "sandbox/judge/judge.h"},
      {"sandbox/judge/judge.cpp", "sandbox/workflow/worker.h"},
      {"sandbox/news/news.cpp", "sandbox/judge/judge.h"}};
  for (const auto& [file, target] : refused) {
    EXPECT_FALSE(part_may_include(file, target)) << file << " includes " << target;
  }
}

TEST(Layout, LibTorchStaysInItsRooms) {
  const std::set<std::string> allowed = {"model/transformer",
                                         "model/checkpoint",
                                         "model/engine",
                                         "model/ops",
                                         "model/ops/cpu",
                                         "model/ops/cuda",
                                         "trainer/learn/update",
                                         "trainer/learn/run",
                                         "trainer/learn/grpo/device"};
  for (const auto& [file, targets] : scan()) {
    const bool torch_room = allowed.contains(fs::path(file).parent_path().string());
    for (const auto& target : targets) {
      const bool torch =
          target.starts_with("ATen/") || target.starts_with("torch/") || target.starts_with("c10/");
      EXPECT_TRUE(!torch || torch_room || is_main(file)) << file << " includes " << target;
      EXPECT_FALSE(torch && file.ends_with(".cu")) << file << " includes " << target;
      EXPECT_NE(target, "torch/torch.h") << file;
      EXPECT_NE(target, "ATen/ATen.h") << file;
    }
  }
}

// Boost.Beast and Asio are slow to compile, and one room knows of them.
TEST(Layout, BoostStaysBehindTheHeadersOfNet) {
  const std::set<std::string> headers = {"net/exchange.h", "net/message.h", "net/options.h",
                                         "net/routes.h", "net/server.h"};
  for (const auto& [file, targets] : scan()) {
    for (const auto& target : targets) {
      EXPECT_TRUE(!target.starts_with("boost/") || file.starts_with("net/")) << file;
      const bool of_net = target.starts_with("net/");
      EXPECT_TRUE(!of_net || file.starts_with("net/") || headers.contains(target))
          << file << " includes " << target;
      EXPECT_FALSE(headers.contains(file) &&
                   (target.starts_with("boost/") || (of_net && !headers.contains(target))))
          << file << " includes " << target;
    }
  }
}

TEST(Layout, HiddenTestsAreReadByEvaluationAlone) {
  for (const auto& [file, targets] : scan()) {
    for (const auto& target : targets) {
      if (target != "data/hidden_tests.h") continue;
      EXPECT_TRUE(file == "data/hidden_tests.cpp" || file.starts_with("trainer/evaluate/"))
          << file << " reads hidden tests";
    }
  }
}

// The types that a file defines where other files' linkage meets them, by their qualified names.
std::vector<std::string> shared_types(const fs::path& path) {
  static const std::regex opens(R"(^(?:inline )?namespace\s*([\w:]*)\s*\{\s*$)");
  static const std::regex closes(R"(^\}\s*// namespace.*)");
  static const std::regex defines(
      R"(^(?:struct|class|enum class|enum|union)\s+(?:alignas\(\w+\)\s+)?(\w+)\s*(?:final\s*)?(?::[^:].*|\{.*)$)");
  std::vector<std::string> scopes, types;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, opens)) {
      scopes.push_back(match[1]);
    } else if (std::regex_match(line, closes)) {
      if (!scopes.empty()) scopes.pop_back();
    } else if (std::regex_match(line, match, defines) &&
               std::find(scopes.begin(), scopes.end(), "") == scopes.end()) {
      std::string name;
      for (const auto& scope : scopes) name += scope + "::";
      types.push_back(name + match.str(1));
    }
  }
  return types;
}

// Two would be undefined behaviour in the first program that links both.
TEST(Layout, OneTypeHasAName) {
  std::map<std::string, std::string> where;
  for (const char* room : {"base", "net", "data", "sandbox", "model", "workflow", "trainer",
                           "serve", "tests", "bench"}) {
    for (const auto& entry : fs::recursive_directory_iterator(test::source_dir() / room)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu") continue;
      for (const auto& type : shared_types(entry.path())) {
        const auto [first, is_new] = where.emplace(type, entry.path());
        EXPECT_TRUE(is_new) << type << " is in " << first->second << " and " << entry.path();
      }
    }
  }
  EXPECT_TRUE(where.contains("weft::Task") && where.contains("weft::test::fake::FakeGpu"));
}

// A test lies in the folder of what it tests, fuzzers in one below it; one that has the name of a
// header of its room lies in that header's folder.
TEST(Layout, TestsMirrorTheRooms) {
  std::map<std::string, std::set<std::string>> folders_of;  // by room and a header's name
  for (const char* room :
       {"base", "bench", "net", "data", "sandbox", "model", "workflow", "trainer", "serve"}) {
    for (const auto& entry : fs::recursive_directory_iterator(test::source_dir() / room)) {
      if (entry.path().extension() != ".h") continue;
      const fs::path file = fs::relative(entry.path(), test::source_dir());
      folders_of[std::string(room) + "/" + file.stem().string()].insert(
          file.parent_path().string());
    }
  }
  const std::string ending = "_test.cpp";
  int num_tests = 0;
  for (const auto& entry : fs::recursive_directory_iterator(test::source_dir() / "tests")) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(ending)) continue;
    ++num_tests;
    fs::path folder = fs::relative(entry.path().parent_path(), test::source_dir() / "tests");
    if (folder == "support") continue;  // of the tests' own tools
    if (folder.filename() == "fuzz") folder = folder.parent_path();
    EXPECT_TRUE(fs::is_directory(test::source_dir() / folder)) << entry.path();
    const auto header = folders_of.find(room_of(folder.string()) + "/" +
                                        name.substr(0, name.size() - ending.size()));
    if (header == folders_of.end()) continue;
    EXPECT_TRUE(header->second.contains(folder.string()))
        << entry.path() << " is named as a header of " << *header->second.begin();
  }
  EXPECT_GT(num_tests, 100);
}

// The lists are JSON: nobody else may take them by their names either.
TEST(Layout, FinalScoresAreNamedByEvaluationAndPreparationAlone) {
  for (const char* folder : {"trainer/search", "trainer/learn", "workflow", "serve", "model"}) {
    for (const auto& entry : fs::recursive_directory_iterator(test::source_dir() / folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path());
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      for (const char* name : {"\"hidden\"", "\"official\""}) {
        EXPECT_EQ(text.find(name), std::string::npos) << entry.path() << " names " << name;
      }
    }
  }
}

}  // namespace
}  // namespace weft
