#include "data/trajectory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

Trajectory make(const std::string& task, double reward) {
  Trajectory t;
  t.task_id = task;
  t.origin = "scripted";
  t.code = "class Workflow: pass\n# ünïcode \xF0\x9F\x98\x80";
  t.reward = reward;
  t.valid = reward > 0;
  t.usage = {{"calls", 3}};
  t.seed = UINT64_MAX;
  t.round = 2;
  return t;
}

TEST(TrajectoryStore, ReturnsWhatWasStored) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  const int64_t id = store.insert(make("a", 0.5));
  const auto rows = store.select();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].id, id);
  EXPECT_EQ(rows[0].code, make("a", 0.5).code);
  EXPECT_EQ(rows[0].seed, UINT64_MAX);
  EXPECT_EQ(rows[0].usage["calls"], 3);
  EXPECT_EQ(rows[0].reward, 0.5);
}

TEST(TrajectoryStore, SurvivesReopening) {
  test::TempDir dir;
  {
    TrajectoryStore store(dir / "s.sqlite");
    store.insert(make("a", 1));
    store.put_state("cursor", {{"done", 7}});
  }
  TrajectoryStore store(dir / "s.sqlite");
  EXPECT_EQ(store.count(), 1);
  EXPECT_EQ((*store.get_state("cursor"))["done"], 7);
  EXPECT_EQ(store.get_state("other"), std::nullopt);
}

TEST(TrajectoryStore, FiltersAndKeepsTheBestOfEachTask) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  store.insert_all({make("a", 0.1), make("a", 0.9), make("a", 0.9), make("b", 0.4), make("b", -1)});
  TrajectoryFilter best;
  best.max_per_task = 1;
  best.min_reward = 0.0;
  const auto rows = store.select(best);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].id, 2);  // the older of two equals
  EXPECT_EQ(rows[1].id, 4);
  TrajectoryFilter of_b;
  of_b.task_id = "b";
  of_b.only_valid = true;
  EXPECT_EQ(store.select(of_b).size(), 1u);
}

// Five rows of two tasks that differ in one field each, stored in eight orders.
TEST(TrajectoryStore, ReadsInAnOrderOfContentWhateverTheOrderOfArrival) {
  std::vector<Trajectory> rows = {make("b", 0.5), make("a", 0.5), make("a", 0.5), make("a", 0.5),
                                  make("a", 0.5)};
  rows[2].code = "class Workflow: other";
  rows[3].reasoning = "because";
  rows[4].round = 1;
  const auto text = [](const std::vector<Trajectory>& read) {
    std::string all;
    for (const auto& t : read) all += dump_json({t.task_id, t.round, t.code, t.reasoning}) + "\n";
    return all;
  };
  std::vector<size_t> order = {0, 1, 2, 3, 4};
  std::set<std::string> all, few;
  TrajectoryFilter best;
  best.max_per_task = 2;
  for (int turn = 0; turn < 8; ++turn) {
    std::rotate(order.begin(), order.begin() + turn % 3, order.end());
    std::next_permutation(order.begin(), order.end());
    test::TempDir dir;
    TrajectoryStore store(dir / "s.sqlite");
    std::vector<Trajectory> arriving;
    for (const size_t i : order) arriving.push_back(rows[i]);
    store.insert_all(arriving);
    all.insert(text(store.select()));
    few.insert(text(store.select(best)));
    EXPECT_EQ(store.select().front().round, 1);  // task a, the earliest round
    EXPECT_EQ(store.select().back().task_id, "b");
  }
  EXPECT_EQ(all.size(), 1u);
  EXPECT_EQ(few.size(), 1u);
}

TEST(TrajectoryStore, ReadsAParentBeforeWhatWasMadeFromIt) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  int64_t parent = 0;
  for (const char* code : {"z", "y", "x"}) {  // content alone would turn it over
    Trajectory row = make("a", 1);
    row.code = code;
    row.parent = parent;
    parent = store.insert(row);
  }
  std::string codes;
  for (const auto& row : store.select()) codes += row.code;
  EXPECT_EQ(codes, "zyx");
}

TEST(TrajectoryStore, PlacesInASearchOrderItsRowsAndOthersIdsStayBelowThem) {
  EXPECT_LT(place_id(7, 1, 9), place_id(7, 2, 0));
  EXPECT_LT(place_id(7, 2, 0), place_id(7, 2, 1));
  EXPECT_NE(place_id(uint64_t{1} << 40, 1, 0), place_id(uint64_t{1} << 50, 1, 0));
  EXPECT_GT(place_id(0, 0, 0), 1 << 20);
  EXPECT_GT(place_id(UINT64_MAX, 1 << 20, 1 << 20), 0);
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  std::vector<Trajectory> rows(3, make("a", 1));
  for (int i = 0; i < 3; ++i) {
    rows[i].id = place_id(5, 1, i);
    rows[i].code = std::string(1, static_cast<char>('z' - i));
  }
  for (const int i : {2, 0, 1}) EXPECT_EQ(store.insert(rows[i]), rows[i].id);
  std::string codes;
  for (const auto& row : store.select()) codes += row.code;
  EXPECT_EQ(codes, "zyx");
  EXPECT_EQ(store.insert(rows[2]), rows[2].id + 1);  // taken: the next one
  EXPECT_EQ(store.insert(make("a", 1)), 1);
}

TEST(TrajectoryStore, StoresTheSameWorkflowOnceAndTheRewardThatCameLater) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  std::vector<Trajectory> rows(4, make("a", 0.5));
  rows[1].seed = 1;
  rows[2].round = 3;
  rows[3].code = "class Workflow: other";
  for (Trajectory& row : rows) row.outcome = "scored";
  rows[1].outcome = "infrastructure";
  store.insert_missing(rows);
  ASSERT_EQ(store.count(), 4);
  rows[0].reward = rows[1].reward = 0.9;
  rows[1].outcome = "scored";
  rows.push_back(make("b", 1));
  store.insert_missing(rows);
  EXPECT_EQ(store.count(), 5);
  for (const Trajectory& row : store.select()) {
    if (row.task_id != "a") continue;
    EXPECT_EQ(row.outcome, "scored");
    EXPECT_EQ(row.reward, row.seed == 1 ? 0.9 : 0.5);
  }
}

TEST(TrajectoryStore, HasNoLeastRewardForWhatNothingScored) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  for (const char* outcome : {"scored", "limit", "infrastructure", "answered", "written"}) {
    Trajectory row = make("a", 0);
    row.outcome = outcome;
    store.insert(row);
  }
  TrajectoryFilter filter;
  EXPECT_EQ(store.select(filter).size(), 5u);
  filter.min_reward = 0;
  EXPECT_EQ(store.select(filter).size(), 2u);
}

TEST(TrajectoryStore, CommitsRowsAndProgressTogether) {
  test::TempDir dir;
  TrajectoryStore store(dir / "s.sqlite");
  EXPECT_EQ(store.commit({make("a", 1), make("b", 1)}, "task", 5).size(), 2u);
  EXPECT_EQ(*store.get_state("task"), 5);
}

TEST(TrajectoryStore, RefusesAFileThatIsNoStore) {
  test::TempDir dir;
  std::ofstream(dir / "s.sqlite") << std::string(5000, 'x');
  EXPECT_THROW(TrajectoryStore(dir / "s.sqlite"), InputError);
}

void run_sql(const std::filesystem::path& path, const char* sql) {
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(handle);
}

std::string error_of_opening(const std::filesystem::path& path, StoreAccess access) {
  return test::input_error([&] { TrajectoryStore store(path, access); });
}

TEST(TrajectoryStore, RefusesAndLeavesAloneTheDatabaseOfAnotherProgram) {
  test::TempDir dir;
  const auto path = dir / "s.sqlite";
  for (const char* sql : {"CREATE TABLE bookmarks (url TEXT)", "PRAGMA user_version = 1"}) {
    run_sql(path, sql);  // the second with the version that a store has
    const std::string before = read_file(path);
    for (const auto access : {StoreAccess::kReadWrite, StoreAccess::kRead}) {
      EXPECT_THAT(error_of_opening(path, access), testing::HasSubstr("s.sqlite: expected a traj"));
    }
    EXPECT_EQ(read_file(path), before);
  }
}

TEST(TrajectoryStore, RefusesAnotherVersion) {
  test::TempDir dir;
  TrajectoryStore(dir / "s.sqlite").insert(make("a", 1));
  run_sql(dir / "s.sqlite", "PRAGMA user_version = 7");
  EXPECT_THAT(error_of_opening(dir / "s.sqlite", StoreAccess::kReadWrite),
              testing::HasSubstr("version 7, expected 1"));
}

TEST(TrajectoryStore, AReaderOfAMistypedPathIsRefusedAndMakesNoFile) {
  test::TempDir dir;
  EXPECT_THAT(error_of_opening(dir / "typo.sqlite", StoreAccess::kRead),
              testing::HasSubstr("typo.sqlite: expected a trajectory store, found no such file"));
  EXPECT_FALSE(std::filesystem::exists(dir / "typo.sqlite"));
}

TEST(TrajectoryStore, AnEmptyFileIsRefusedToAReaderAndFilledByAWriter) {
  test::TempDir dir;
  const auto path = dir / "s.sqlite";
  std::ofstream(path).close();
  EXPECT_THAT(error_of_opening(path, StoreAccess::kRead), testing::HasSubstr("got an empty file"));
  EXPECT_EQ(std::filesystem::file_size(path), 0u);
  TrajectoryStore(path).insert(make("a", 1));
  EXPECT_EQ(TrajectoryStore(path, StoreAccess::kRead).count(), 1);
}

TEST(TrajectoryStore, AReaderSeesWhatAWriterHasJustStoredAndCannotWrite) {
  test::TempDir dir;
  TrajectoryStore writer(dir / "s.sqlite");
  TrajectoryStore reader(dir / "s.sqlite", StoreAccess::kRead);
  writer.insert(make("a", 1));
  EXPECT_EQ(reader.select().size(), 1u);
  EXPECT_THROW(reader.insert(make("b", 1)), Error);
  EXPECT_THROW(reader.put_state("cursor", 1), Error);
  EXPECT_EQ(writer.count(), 1);
}

[[noreturn]] void insert_until_the_limit(const std::filesystem::path& path) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit limit;
  limit.rlim_cur = limit.rlim_max = 100'000;
  setrlimit(RLIMIT_FSIZE, &limit);
  TrajectoryStore store(path);
  try {
    for (;;) store.insert(make("b", 1));
  } catch (const Error&) {
    _exit(42);
  }
}

// RLIMIT_FSIZE stands for a full disk: the store cannot grow any more, the insert is an Error, and
// what was stored before is still there.
TEST(TrajectoryStore, AFullDiskIsAnErrorAndLosesNothingStoredBefore) {
  test::TempDir dir;
  const auto path = dir / "s.sqlite";
  TrajectoryStore(path).insert(make("a", 1));
  EXPECT_EXIT(insert_until_the_limit(path), testing::ExitedWithCode(42), "");
  EXPECT_GE(TrajectoryStore(path).count(), 1);
}

}  // namespace
}  // namespace weft
