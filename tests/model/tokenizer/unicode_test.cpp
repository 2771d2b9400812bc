#include "model/tokenizer/unicode.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Unicode, ClassesFollowUnicode16) {
  EXPECT_EQ(char_class(U'A'), CharClass::kLetter);
  EXPECT_EQ(char_class(0x6211), CharClass::kLetter);
  EXPECT_EQ(char_class(0x2EBF0), CharClass::kLetter) << "assigned in Unicode 15.1";
  EXPECT_EQ(char_class(0x2460), CharClass::kNumber);
  EXPECT_EQ(char_class(0x85), CharClass::kSpace);
  EXPECT_EQ(char_class(0x3000), CharClass::kSpace);
  EXPECT_EQ(char_class(0x180E), CharClass::kOther) << "no White_Space since Unicode 6.3";
  EXPECT_EQ(char_class(0x200B), CharClass::kOther);
  EXPECT_EQ(char_class(0x301), CharClass::kOther);
}

TEST(Unicode, ComposesCharacters) {
  EXPECT_EQ(to_nfc("e\u0301 \u212B \uFB01"), "\u00E9 \u00C5 \uFB01");
  EXPECT_EQ(to_nfc("\u1100\u1161\u11A8"), "\uAC01");
}

// U+08D2 (below) came after Unicode 9: it stays behind U+09FE, which a newer NFC would swap.
TEST(Unicode, KeepsTheOrderOfMarksThatCameAfterUnicode9) {
  EXPECT_EQ(to_nfc("\u09FE\u08D2"), "\u09FE\u08D2");
  EXPECT_EQ(to_nfc("\u1107\u116D\u11A7"), "\uBD64\u11A7");
}

}  // namespace
}  // namespace weft
