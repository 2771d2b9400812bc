#include "base/line_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr uint64_t kMaxLine = 1 << 20;

struct Found {
  std::vector<std::string> texts;
  std::vector<uint64_t> offsets;
  std::vector<int64_t> numbers;
};

Found all_lines(LineFile& file) {
  Found found;
  for (TextLine line; file.next(line);) {
    found.texts.push_back(line.text);
    found.offsets.push_back(line.offset);
    found.numbers.push_back(line.number);
  }
  return found;
}

using Texts = std::vector<std::string>;

TEST(LineFile, GivesEachLineThatIsNotBlankAndFindsItAgain) {
  const test::TempDir dir;
  const std::string large(700000, 'x');  // more than a buffer
  write_file_atomically(dir / "lines", "one\r\n\n \t\r\ntwo\n" + large + "\nlast");
  LineFile file(dir / "lines", dir.path(), kMaxLine);
  const Found found = all_lines(file);
  EXPECT_EQ(found.texts, (Texts{"one", "two", large, "last"}));
  EXPECT_EQ(found.numbers, (std::vector<int64_t>{1, 4, 5, 6}));
  for (size_t i = found.texts.size(); i-- > 0;) {
    EXPECT_EQ(file.read(found.offsets[i]), found.texts[i]);
    EXPECT_EQ(file.where(found.offsets[i]),
              (dir / "lines").string() + ":" + std::to_string(found.numbers[i]));
  }
}

TEST(LineFile, AnEmptyFileHasNoLine) {
  const test::TempDir dir;
  write_file_atomically(dir / "lines", "");
  LineFile file(dir / "lines", dir.path(), kMaxLine);
  TextLine line;
  EXPECT_FALSE(file.next(line));
}

TEST(LineFile, ReadsAGzippedFileAgainAndLeavesNothingBehind) {
  const test::TempDir dir, spool;
  gzFile packed = gzopen((dir / "lines").c_str(), "wb");
  gzputs(packed, "one\ntwo\n");
  gzclose(packed);
  LineFile file(dir / "lines", spool.path(), kMaxLine);
  const Found found = all_lines(file);
  EXPECT_EQ(found.texts, (Texts{"one", "two"}));
  EXPECT_EQ(file.read(found.offsets[1]), "two");
  EXPECT_TRUE(fs::is_empty(spool.path()));
}

TEST(LineFile, RefusesAFileThatChangesWhileItIsRead) {
  const test::TempDir dir;
  const auto changes = std::vector<std::function<void(const fs::path&)>>{
      [](const fs::path& path) { std::ofstream(path, std::ios::app) << "more\n"; },
      [](const fs::path& path) { std::ofstream(path) << "ONE\ntwo\n"; },
      [](const fs::path& path) { write_file_atomically(path, "one\ntwo\n"); },
      [](const fs::path& path) { fs::remove(path); },
      [](const fs::path& path) { fs::resize_file(path, 2); }};
  for (const auto& change : changes) {
    write_file_atomically(dir / "lines", "one\ntwo\n");
    LineFile file(dir / "lines", dir.path(), kMaxLine);
    const Found found = all_lines(file);
    EXPECT_EQ(file.read(found.offsets[0]), "one");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // above a file's clock tick
    change(dir / "lines");
    EXPECT_NE(test::input_error([&] { file.read(found.offsets[0]); }).find("has changed"),
              std::string::npos);
  }
}

TEST(LineFile, NamesTheLineThatIsTooLong) {
  const test::TempDir dir;
  write_file_atomically(dir / "lines", "one\n" + std::string(2 << 20, 'x') + "\n");
  LineFile file(dir / "lines", dir.path(), kMaxLine);
  const std::string error = test::input_error([&] { all_lines(file); });
  EXPECT_NE(error.find("lines:2: expected a line of at most 1048576 bytes"), std::string::npos)
      << error;
}

TEST(LineFile, RefusesWhatIsNoFile) {
  const test::TempDir dir;
  EXPECT_THROW(LineFile(dir / "nothing", dir.path(), kMaxLine), InputError);
  EXPECT_THROW(LineFile(dir.path(), dir.path(), kMaxLine), InputError);
}

}  // namespace
}  // namespace weft
