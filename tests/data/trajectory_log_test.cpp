#include "data/trajectory_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "tests/support/input_error.h"
#include "tests/support/locked_database.h"
#include "tests/support/small_disk.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr TrajectoryLog::Options kHasty = {.lock_wait_ms = 20};

std::vector<Trajectory> rows_of(int count, const std::string& task = "a") {
  std::vector<Trajectory> rows(static_cast<size_t>(count));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].task_id = task;
    rows[i].seed = i;
    rows[i].code = "class Workflow: pass";
    rows[i].outcome = "scored";
  }
  return rows;
}

class TrajectoryLogs : public testing::Test {
 protected:
  void SetUp() override { log::open_file(dir_ / "log.txt"); }
  void TearDown() override { log::close_file(); }
  std::string said() const { return read_file(dir_ / "log.txt"); }
  int64_t num_stored() const { return TrajectoryStore(path_, StoreAccess::kRead).count(); }

  test::TempDir dir_;
  const fs::path path_ = dir_ / "s.sqlite";
};

TEST_F(TrajectoryLogs, StoreWhatIsAddedAndMakeNoFileBefore) {
  TrajectoryLog log(path_, kHasty);
  EXPECT_FALSE(fs::exists(path_));
  log.add(rows_of(2));
  log.add(rows_of(1));
  log.flush();
  EXPECT_EQ(log.counts().stored, 3);
  EXPECT_EQ(log.counts().waiting, 0);
  EXPECT_EQ(num_stored(), 3);
}

TEST_F(TrajectoryLogs, HaveStoredEverythingWhenTheyAreGone) {
  {
    TrajectoryLog log(path_, kHasty);
    for (int i = 0; i < 20; ++i) log.add(rows_of(3));
  }
  EXPECT_EQ(num_stored(), 60);
  EXPECT_EQ(said(), "");
}

TEST_F(TrajectoryLogs, RefuseAFileOfSomethingElseAndAMissingFolder) {
  std::ofstream(path_) << "text";
  EXPECT_THAT(test::input_error([&] { TrajectoryLog log(path_, kHasty); }),
              HasSubstr("not a trajectory store"));
  EXPECT_EQ(read_file(path_), "text");
  EXPECT_THAT(test::input_error([&] { TrajectoryLog log(dir_ / "no/s.sqlite", kHasty); }),
              HasSubstr("expected a folder"));
}

TEST_F(TrajectoryLogs, TryAgainAfterALockAndSayItOnce) {
  TrajectoryStore(path_).count();
  TrajectoryLog log(path_, kHasty);
  {
    const test::LockedDatabase locked(path_);
    for (int i = 0; i < 3; ++i) {
      log.add(rows_of(2, std::to_string(i)));
      log.flush();
    }
    EXPECT_EQ(log.counts().stored, 0);
    EXPECT_EQ(log.counts().waiting, 6);
  }
  EXPECT_EQ(test::count_lines(dir_ / "log.txt"), 1) << said();
  EXPECT_THAT(said(), HasSubstr("2 workflows could not be stored"));
  EXPECT_THAT(said(), HasSubstr("locked"));
  log.flush();
  EXPECT_EQ(log.counts().waiting, 0);
  EXPECT_EQ(num_stored(), 6);
  EXPECT_THAT(said(), HasSubstr("6 workflows stored"));
}

TEST_F(TrajectoryLogs, SayAtTheEndHowManyRowsAreMissing) {
  TrajectoryStore(path_).count();
  const test::LockedDatabase locked(path_);
  { TrajectoryLog(path_, kHasty).add(rows_of(4)); }
  EXPECT_THAT(said(), HasSubstr("4 workflows are not in the store"));
  EXPECT_EQ(num_stored(), 0);
}

TEST_F(TrajectoryLogs, LoseAndCountWhatIsBeyondTheirBound) {
  TrajectoryStore(path_).count();
  std::optional<test::LockedDatabase> locked(path_);
  TrajectoryLog::Options options = kHasty;
  options.max_waiting_bytes = 4096;
  TrajectoryLog log(path_, options);
  log.add(rows_of(2));
  log.add(rows_of(100));
  log.add(rows_of(100));
  log.flush();
  EXPECT_EQ(log.counts().waiting, 2);
  EXPECT_EQ(log.counts().lost, 200);
  EXPECT_THAT(said(), HasSubstr("further ones are lost"));
  locked.reset();
  log.add(rows_of(1));
  log.flush();
  EXPECT_EQ(num_stored(), 3);
}

TEST_F(TrajectoryLogs, GoOnWhenAFullDiskHasRoomAgain) {
  std::string why;
  const auto disk = test::SmallDisk::mount(dir_ / "disk", 4 << 20, why);
  if (!disk) GTEST_SKIP() << why;
  const fs::path path = disk->path() / "s.sqlite";
  TrajectoryLog log(path, kHasty);
  log.add(rows_of(1));
  log.flush();
  ASSERT_EQ(log.counts().stored, 1);
  disk->fill_up_to(0);
  log.add(rows_of(500));
  log.flush();
  EXPECT_EQ(log.counts().waiting, 500);
  EXPECT_THAT(said(), HasSubstr("500 workflows could not be stored"));
  disk->make_room();
  log.flush();
  EXPECT_EQ(log.counts().stored, 501);
  EXPECT_EQ(TrajectoryStore(path, StoreAccess::kRead).count(), 501);
}

TEST_F(TrajectoryLogs, LeaveOutRepeatsWhereTheyAreToldTo) {
  for (const auto repeats : {TrajectoryLog::Repeats::kLeftOut, TrajectoryLog::Repeats::kStored}) {
    TrajectoryLog log(path_, {.repeats = repeats});
    log.add(rows_of(3));
    log.add(rows_of(4));
    log.flush();
    EXPECT_EQ(log.counts().stored, 7);
    EXPECT_EQ(num_stored(), repeats == TrajectoryLog::Repeats::kLeftOut ? 4 : 11);
  }
}

}  // namespace
}  // namespace weft
