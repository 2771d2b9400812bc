#include "net/message.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace weft {
namespace {

using net::Headers;

TEST(Headers, AreFoundInAnyCaseAndKeptInOrder) {
  Headers headers;
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  headers.add("Two", "3");
  EXPECT_EQ(*headers.find("x-ONE"), "1");
  EXPECT_EQ(headers.find("three"), nullptr);
  headers.set("X-ONE", "4");
  ASSERT_EQ(headers.fields().size(), 2u);
  EXPECT_EQ(headers.fields()[0].first, "Two");
  EXPECT_EQ(*headers.find("x-one"), "4");
}

TEST(Headers, RefuseWhatWouldBeginALineOfItsOwn) {
  Headers headers;
  EXPECT_THROW(headers.add("X", "a\r\nSet-Cookie: b"), std::invalid_argument);
  EXPECT_THROW(headers.add("X", std::string("a\0", 2)), std::invalid_argument);
  EXPECT_THROW(headers.add("X:", "a"), std::invalid_argument);
  EXPECT_THROW(headers.add("", "a"), std::invalid_argument);
  headers.add("X", "a\tb\xc3\xa9");
}

TEST(Request, HasTheRoutesParametersAndNoOthers) {
  net::Request request;
  request.parameters = {{"id", "7"}};
  EXPECT_EQ(request.parameter("id"), "7");
  EXPECT_THROW(request.parameter("name"), std::invalid_argument);
}

}  // namespace
}  // namespace weft
