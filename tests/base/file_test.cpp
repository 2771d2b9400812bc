#include "base/file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

TEST(File, WritesWholeAndLeavesNothingElse) {
  test::TempDir dir;
  write_file_atomically(dir / "a", "one");
  write_file_atomically(dir / "a", "two");
  EXPECT_EQ(read_file(dir / "a"), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(File, NamesAMissingFile) {
  try {
    read_file("/nonexistent/x");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "cannot read /nonexistent/x: No such file or directory");
  }
}

TEST(File, RefusesToReadADirectory) { EXPECT_THROW(read_file("/tmp"), InputError); }

TEST(File, AFailedWriteIsAnErrorAndLeavesNoFile) {
  EXPECT_THROW(write_file_atomically("/nonexistent/x", "text"), Error);
}

TEST(File, PublishingReplacesAnOlderFolder) {
  test::TempDir dir;
  fs::create_directories(dir / "old");
  write_file_atomically(dir / "old/stale", "1");
  fs::create_directories(dir / "new.tmp");
  write_file_atomically(dir / "new.tmp/fresh", "2");
  publish_directory(dir / "new.tmp", dir / "old");
  EXPECT_TRUE(fs::exists(dir / "old/fresh"));
  EXPECT_FALSE(fs::exists(dir / "old/stale"));
  EXPECT_FALSE(fs::exists(dir / "new.tmp"));
}

}  // namespace
}  // namespace weft
