#include "base/unfinished_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "tests/support/support.h"

namespace weft {
namespace {

TEST(UnfinishedFile, LeavesWhatWasThereUntilItIsPublished) {
  const test::TempDir dir;
  const fs::path path = dir / "rows", part = dir / "rows.part";
  write_file_atomically(path, "old\n");
  { const UnfinishedFile file(path); }
  EXPECT_EQ(read_file(path), "old\n");
  EXPECT_FALSE(fs::exists(part));

  {
    const UnfinishedFile file(path);
    JsonlWriter(file.path()).write(1);
  }
  EXPECT_EQ(read_file(path), "old\n");
  EXPECT_EQ(read_file(part), "1\n");

  UnfinishedFile file(path);
  JsonlWriter writer(file.path());
  writer.write(2);
  EXPECT_EQ(read_file(path), "old\n");
  file.publish();
  EXPECT_EQ(read_file(path), "2\n");
  EXPECT_FALSE(fs::exists(part));
}

TEST(UnfinishedFile, OneThatNothingWasWrittenToLeavesNoPart) {
  const test::TempDir dir;
  {
    const UnfinishedFile file(dir / "rows");
    const JsonlWriter writer(file.path());
  }
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(UnfinishedFile, ReplacesWhatALinkPointsTo) {
  const test::TempDir dir;
  write_file_atomically(dir / "rows", "old\n");
  fs::create_symlink(dir / "rows", dir / "link");
  UnfinishedFile file(dir / "link");
  JsonlWriter(file.path()).write(1);
  file.publish();
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(read_file(dir / "rows"), "1\n");
}

TEST(UnfinishedFile, WritesADeviceAndStandardOutputInPlace) {
  for (const char* path : {"-", "/dev/null"}) {
    UnfinishedFile file(path);
    EXPECT_EQ(file.path(), path);
    file.publish();
  }
  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
}

TEST(UnfinishedFile, NamesAFileThatCannotHaveItsName) {
  const test::TempDir dir;
  UnfinishedFile file(dir / "rows");
  JsonlWriter(file.path()).write(1);
  fs::create_directory(dir / "rows");
  EXPECT_THROW(file.publish(), Error);
  EXPECT_EQ(read_file(dir / "rows.part"), "1\n");
}

}  // namespace
}  // namespace weft
