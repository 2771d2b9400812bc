#include "base/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "base/base64.h"
#include "base/error.h"
#include "base/jsonl.h"
#include "tests/support/support.h"

namespace weft {
namespace {

// gzip of two lines, {"a":1} and {"a":2}.
constexpr const char* kPacked = "H4sIAAAAAAACA6tWSlSyMqzlqgbRRrVcAGbAWhkQAAAA";

std::string packed() { return *base64_decode(kPacked); }

class Gzip : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) {
    std::ofstream(dir_ / "x", std::ios::binary) << bytes;
    return dir_ / "x";
  }

  /// The lines' "a", or the message of what stopped the reader.
  std::string read(const std::string& bytes) {
    std::string values;
    try {
      JsonlReader reader(write(bytes));
      for (JsonlLine line; reader.next(line);) values += dump_json(line.value);
    } catch (const InputError& error) {
      return error.what();
    }
    return values;
  }

  test::TempDir dir_;
};

TEST_F(Gzip, LinesAreReadPackedOrNotWhateverTheName) {
  EXPECT_EQ(read(packed()), "{\"a\":1}{\"a\":2}");
  EXPECT_EQ(read("{\"a\":1}\n{\"a\":2}\n"), "{\"a\":1}{\"a\":2}");
  EXPECT_EQ(read(""), "");
}

TEST_F(Gzip, FilesOneBehindTheOtherAreOneText) {
  EXPECT_EQ(read(packed() + packed()), "{\"a\":1}{\"a\":2}{\"a\":1}{\"a\":2}");
}

TEST_F(Gzip, CutOrBrokenFileIsAnInputError) {
  const std::string whole = packed();
  EXPECT_THAT(read(whole.substr(0, whole.size() - 4)), testing::HasSubstr("cannot read"));
  std::string broken = whole;
  broken[whole.size() - 6] ^= 1;  // in the checksum
  EXPECT_THAT(read(broken), testing::HasSubstr("cannot read"));
}

TEST_F(Gzip, MissingFileAndFolderAreInputErrors) {
  EXPECT_THROW(open_text(dir_ / "absent"), InputError);
  EXPECT_THROW(open_text(dir_.path()), InputError);
}

}  // namespace
}  // namespace weft
