// The corpus that the fuzzers start from, and inputs that once broke something.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "tests/sandbox/fuzz/targets.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Target = void (*)(const uint8_t*, size_t);

int replay(const char* folder, Target target) {
  int count = 0;
  const auto corpus = test::source_dir() / "tests/sandbox/fuzz/corpus" / folder;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    const std::string bytes = read_file(entry.path());
    target(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    ++count;
  }
  return count;
}

TEST(FuzzCorpus, FramesAreTheSameHoweverTheStreamIsCut) {
  EXPECT_GE(replay("frames", fuzz::read_frames), 10);
}

TEST(FuzzCorpus, ValuesKeepTheCapsAndEncodeAgain) {
  EXPECT_GE(replay("values", fuzz::decode_value), 20);
}

}  // namespace
}  // namespace weft
