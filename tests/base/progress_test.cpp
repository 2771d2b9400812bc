#include "base/progress.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Progress, FormatsDurations) {
  EXPECT_EQ(format_duration(5), "0:05");
  EXPECT_EQ(format_duration(65.4), "1:05");
  EXPECT_EQ(format_duration(7384), "2:03:04");
}

TEST(Progress, PrintsAPlainLineOffATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("sft", 10, "steps");
    progress.advance(10);
    progress.note("loss 1.5");
  }
  const auto text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("sft 10/10 steps"), std::string::npos) << text;
  EXPECT_NE(text.find("| loss 1.5"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace weft
