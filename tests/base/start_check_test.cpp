#include "base/start_check.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

template <class F>
std::string problem_of(bool resume, F look) {
  StartCheck check(resume);
  look(check);
  EXPECT_LE(check.problems().size(), 1u);
  return check.problems().empty() ? "" : check.problems()[0];
}

TEST(StartCheck, NamesFilesThatAreNotThere) {
  const test::TempDir dir;
  const std::string path = (dir / "tasks.jsonl").string();
  const auto file = [&](const std::string& name) {
    return problem_of(false, [&](StartCheck& check) { check.file("tasks", name); });
  };
  EXPECT_EQ(file(path), "tasks: expected a file, got " + path + ", which is not there");
  EXPECT_EQ(file(""), "tasks: expected a file, got nothing");
  EXPECT_EQ(file(dir.path()),
            "tasks: expected a file, got " + dir.path().string() + ", which is a folder");
  write_file_atomically(path, "x");
  EXPECT_EQ(file(path), "");
  EXPECT_EQ(file("-"), "");
}

TEST(StartCheck, KnowsModelFoldersRunFoldersAndNamesOnTheHub) {
  const test::TempDir dir;
  const auto model = [&](const std::string& name) {
    return problem_of(false, [&](StartCheck& check) { check.model_folder("model", name); });
  };
  EXPECT_EQ(model("owner/name"),
            "model: expected a model folder, got owner/name, which is not there; where that is a "
            "name on the Hub: hf download owner/name --local-dir DIR");
  EXPECT_EQ(model("/nowhere/name"),
            "model: expected a model folder, got /nowhere/name, which is not there");
  fs::create_directories(dir / "final");
  EXPECT_EQ(model(dir.path()), "model: " + dir.path().string() +
                                   " has no config.json, *.safetensors, tokenizer.json or "
                                   "tokenizer.model; a run's model is in " +
                                   (dir / "final").string());
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) {
    write_file_atomically(dir / "final" / name, "{}");
  }
  EXPECT_EQ(model(dir / "final"), "");
}

TEST(StartCheck, ARunNeedsAFolderThatCanBeWrittenAndHoldsNoOther) {
  const test::TempDir dir;
  const auto out = [&](bool resume, const fs::path& path) {
    return problem_of(resume, [&](StartCheck& check) { check.run_folder("out", path); });
  };
  EXPECT_EQ(out(false, dir / "a" / "b"), "");
  EXPECT_FALSE(fs::exists(dir / "a"));
  EXPECT_NE(out(true, dir / "a").find("holds no run to resume"), std::string::npos);
  fs::create_directories(dir / "a");
  write_file_atomically(dir / "a" / "config.json", "{}");
  EXPECT_NE(out(false, dir / "a").find("continue it with --resume"), std::string::npos);
  EXPECT_EQ(out(true, dir / "a"), "");
  write_file_atomically(dir / "file", "x");
  EXPECT_EQ(out(false, dir / "file" / "run"), "out: " + (dir / "file" / "run").string() +
                                                  " cannot be made, " + (dir / "file").string() +
                                                  " is a file");
  if (geteuid() == 0) return;  // who may write everywhere
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_NE(out(false, dir / "new").find("this user may not write"), std::string::npos);
  fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST(StartCheck, ACheckpointIsAModelOrAnAdapter) {
  const test::TempDir dir;
  const auto checkpoint = [&](const fs::path& path) {
    return problem_of(false, [&](StartCheck& check) { check.checkpoint_folder("m", path); });
  };
  EXPECT_EQ(checkpoint(dir / "a"),
            "m: expected a model folder, got " + (dir / "a").string() + ", which is not there");
  fs::create_directories(dir / "a");
  EXPECT_NE(checkpoint(dir / "a").find("expected a PEFT folder"), std::string::npos);
  write_file_atomically(dir / "a" / "model.safetensors", "");
  write_file_atomically(dir / "a" / "adapter_config.json", "{}");
  EXPECT_EQ(checkpoint(dir / "a"), "");
  write_file_atomically(dir / "a" / "config.json", "{}");
  EXPECT_NE(checkpoint(dir / "a").find("has no tokenizer.json"), std::string::npos);
}

TEST(StartCheck, AResultNeedsAFileThatCanBeWritten) {
  const test::TempDir dir;
  const auto out = [&](const fs::path& path) {
    return problem_of(false, [&](StartCheck& check) { check.output_file("out", path); });
  };
  EXPECT_EQ(out("-"), "");
  EXPECT_EQ(out(dir / "new"), "");
  EXPECT_FALSE(fs::exists(dir / "new"));
  EXPECT_EQ(out(""), "out: expected a file to write, got nothing");
  EXPECT_EQ(out(dir.path()),
            "out: expected a file, got " + dir.path().string() + ", which is a folder");
  EXPECT_EQ(out(dir / "not" / "new"), "out: " + (dir / "not" / "new").string() +
                                          " cannot be made, there is no " + (dir / "not").string());
  write_file_atomically(dir / "file", "x");
  EXPECT_EQ(out(dir / "file"), "");
}

TEST(StartCheck, APortIsTakenOrFree) {
  const int taken = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int number = ntohs(address.sin_port);
  const auto port = [](const std::string& host, int number) {
    return problem_of(false, [&](StartCheck& check) { check.port("port", host, number); });
  };
  EXPECT_EQ(port("127.0.0.1", number), "port: cannot listen on 127.0.0.1:" +
                                           std::to_string(number) + ": Address already in use");
  close(taken);
  EXPECT_EQ(port("127.0.0.1", number), "");
  EXPECT_EQ(port("127.0.0.1", 0), "");
  EXPECT_EQ(port("203.0.113.7", 0),
            "port: cannot listen on 203.0.113.7:0: Cannot assign requested address");
}

TEST(StartCheck, KeepsEveryProblem) {
  StartCheck check(false);
  check.environment("key", "WEFT_TEST_NO_SUCH_VARIABLE");
  check.environment("key", "PATH");
  check.environment("key", "");
  check.without_error([] { throw InputError("bad"); });
  check.add("bad");
  check.without_error([] { throw Error("worse"); });
  check.without_error([] {});
  EXPECT_EQ(check.problems(),
            (std::vector<std::string>{
                "key: expected the environment variable WEFT_TEST_NO_SUCH_VARIABLE to be set, it "
                "is not",
                "bad", "worse"}));
}

}  // namespace
}  // namespace weft
