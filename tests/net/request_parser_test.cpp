// What arrives at a handler, and what is refused before: raw bytes over loopback, each malformed
// request beside an honest twin of it.
#include "net/request_parser.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "net/options.h"
#include "tests/net/support.h"

namespace weft {
namespace {

using test::body_of;
using test::dechunked;
using test::get;
using test::post;
using test::RawClient;
using test::status_of;
using ::testing::HasSubstr;

struct Case {
  const char* name;
  std::string bytes;
  int status;
  std::string twin;  // answered with 200
};

std::string post_with(const std::string& headers, const std::string& body) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n" + body;
}

std::string chunked(const std::string& body) {
  return post_with("Transfer-Encoding: chunked\r\n", body);
}

const std::string kHealth = get("/health");
const std::string kPost = post("/echo", "hello");
const std::string kChunks = chunked("5\r\nhello\r\n0\r\n\r\n");

std::vector<Case> lengths() {
  return {
      {"TwoLengths", post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400, kPost},
      {"LengthsThatDiffer", post_with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), 400,
       kPost},
      {"ListOfLengths", post_with("Content-Length: 5, 5\r\n", "hello"), 400, kPost},
      {"LengthThenCoding",
       post_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400, kChunks},
      {"CodingThenLength",
       post_with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), 400, kChunks},
      {"LengthWithSign", post_with("Content-Length: +5\r\n", "hello"), 400, kPost},
      {"NegativeLength", post_with("Content-Length: -5\r\n", "hello"), 400, kPost},
      {"LengthWithBlank", post_with("Content-Length: 0 5\r\n", "hello"), 400, kPost},
      {"HexLength", post_with("Content-Length: 0x5\r\n", "hello"), 400, kPost},
      {"EmptyLength", post_with("Content-Length: \r\n", "hello"), 400, kPost},
      {"LengthBeyond64Bits", post_with("Content-Length: 18446744073709551621\r\n", "hello"), 400,
       kPost},
      {"LengthOf64Bits", post_with("Content-Length: 18446744073709551615\r\n", "hello"), 413,
       kPost},
      {"BlankBeforeColon", post_with("Content-Length : 5\r\n", "hello"), 400, kPost},
  };
}

std::vector<Case> codings() {
  return {
      {"GzipThenChunked", post_with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400,
       kChunks},
      {"ChunkedTwice", post_with("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400,
       kChunks},
      {"TwoCodings",
       post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400,
       kChunks},
      {"OtherCoding", post_with("Transfer-Encoding: identity\r\n", ""), 400, kChunks},
      {"CodingWithTail", post_with("Transfer-Encoding: chunkedx\r\n", ""), 400, kChunks},
      {"CodingWithVerticalTab", post_with("Transfer-Encoding: \vchunked\r\n", ""), 400, kChunks},
      {"CodingInHttp10",
       "POST /echo HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       kChunks},
      {"ChunkSizeWithSign", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeWithPrefix", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeWithBlank", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeAfterBlank", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeThatIsNone", chunked("g\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeThatIsEmpty", chunked("\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeBeyond64Bits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkSizeOf64Bits", chunked("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), 413, kChunks},
      {"ChunkLineWithoutCr", chunked("5\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkShorterThanSaid", chunked("6\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ChunkLongerThanSaid", chunked("4\r\nhello\r\n0\r\n\r\n"), 400, kChunks},
      {"ExtensionWithLineFeed", chunked("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), 400,
       chunked("5;a=\"b\"\r\nhello\r\n0\r\n\r\n")},
      {"ExtensionsWithoutEnd", chunked("5;" + std::string(20000, 'a') + "\r\nhello\r\n0\r\n\r\n"),
       400, chunked("5;" + std::string(2000, 'a') + "\r\nhello\r\n0\r\n\r\n")},
      {"LengthInTrailer", chunked("0\r\nContent-Length: 5\r\n\r\n"), 400,
       chunked("0\r\nX-Sum: 5\r\n\r\n")},
      {"GzipBody", post_with("Content-Encoding: gzip\r\nContent-Length: 5\r\n", "hello"), 415,
       post_with("Content-Encoding: identity\r\nContent-Length: 5\r\n", "hello")},
      {"OtherExpectation", post_with("Expect: a miracle\r\nContent-Length: 5\r\n", "hello"), 417,
       kPost},
  };
}

std::vector<Case> heads() {
  const auto with = [](const std::string& headers) { return get("/health", headers); };
  return {
      {"BodyOfGet", with("Content-Length: 1\r\n") + "x", 400, with("Content-Length: 0\r\n")},
      {"ChunksOfGet", with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, kHealth},
      {"BodyOfOptions", "OPTIONS /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 400,
       kHealth},
      {"NoHost", "GET /health HTTP/1.1\r\n\r\n", 400, "GET /health HTTP/1.0\r\n\r\n"},
      {"TwoHosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, kHealth},
      {"EmptyHost", "GET /health HTTP/1.1\r\nHost:\r\n\r\n", 400, kHealth},
      {"HostWithPath", "GET /health HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, kHealth},
      {"HostWithUser", "GET /health HTTP/1.1\r\nHost: me@a\r\n\r\n", 400, kHealth},
      {"HostWithPortThatIsNone", "GET /health HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400,
       "GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n"},
      {"NulInValue", with(std::string("X: a\0b\r\n", 8)), 400, with("X: a\tb\r\n")},
      {"ControlInValue", with("X: a\x01z\r\n"), 400, with("X: \xc3\xa9\r\n")},
      {"CarriageReturnInValue", with("X: a\rb\r\n"), 400, kHealth},
      {"LineFeedAlone", "GET /health HTTP/1.1\nHost: a\n\n", 400, kHealth},
      {"FoldedField", with("X: a\r\n b\r\n"), 400, kHealth},
      {"FieldWithoutName", with(": a\r\n"), 400, kHealth},
      {"FieldWithoutColon", with("X\r\n"), 400, kHealth},
      {"BlankInName", with("X Y: a\r\n"), 400, kHealth},
      {"ControlInTarget", "GET /hea\x7flth HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"TargetBeyondAscii", "GET /h\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"TwoBlanksInRequestLine", "GET  /health HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"TabInRequestLine", "GET\t/health HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"OtherHostInTarget", "GET http://b/health HTTP/1.1\r\nHost: a\r\n\r\n", 400,
       "GET http://A/health HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"UserInTarget", "GET http://me@a/health HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"TargetWithoutSlash", "GET health HTTP/1.1\r\nHost: a\r\n\r\n", 400, kHealth},
      {"FragmentInTarget", get("/health#a"), 400, get("/health?a")},
      {"ConnectTarget", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, kHealth},
      {"BrokenEscape", get("/echo/%4"), 400, get("/echo/%41")},
      {"EscapedNul", get("/echo/%00"), 400, get("/echo/%20")},
      {"HttpTwo", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, kHealth},
      {"NoHttp", "\x16\x03\x01\x02", 400, kHealth},
      {"TwoEmptyLines", "\r\n\r\n" + kHealth, 400, "\r\n" + kHealth},
  };
}

class Malformed : public ::testing::TestWithParam<Case> {};

TEST_P(Malformed, IsRefusedAndClosedAndItsHonestTwinIsAnswered) {
  const auto server = test::start_server();
  RawClient bad(server->port());
  bad.send(GetParam().bytes);
  const std::string refused = bad.read_all();
  EXPECT_EQ(status_of(refused), GetParam().status) << refused;
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
  EXPECT_EQ(refused.find("HTTP/1.1 ", 1), std::string::npos) << "answered twice";
  RawClient good(server->port());
  good.send(GetParam().twin);
  EXPECT_EQ(status_of(good.read_answer()), 200);
}

// What GoogleTest prints of a case.
void PrintTo(const Case& bad, std::ostream* out) { *out << bad.name; }

std::string name_of(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Lengths, Malformed, ::testing::ValuesIn(lengths()), name_of);
INSTANTIATE_TEST_SUITE_P(Codings, Malformed, ::testing::ValuesIn(codings()), name_of);
INSTANTIATE_TEST_SUITE_P(Heads, Malformed, ::testing::ValuesIn(heads()), name_of);

TEST(RequestParser, DecodesChunksHoweverTheyArrive) {
  const auto server = test::start_server();
  const std::string bytes =
      chunked("5\r\nhello\r\n1;x=1\r\n \r\n005\r\nworld\r\n0\r\nX: y\r\n\r\n");
  for (const size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
    RawClient client(server->port());
    for (size_t at = 0; at < bytes.size(); at += step) client.send(bytes.substr(at, step));
    EXPECT_EQ(body_of(client.read_answer()), "hello world");
  }
}

TEST(RequestParser, SurvivesRequestsWithChangedBytes) {
  const auto server = test::start_server();
  std::mt19937 random(7);
  const std::vector<std::string> honest = {kHealth, kPost, kChunks,
                                           get("/echo/%41?b", "Expect: 100-continue\r\n")};
  constexpr std::string_view bytes("\0\r\n\t :;,%/09afF-+\x7f\xff", 19);
  for (int i = 0; i < 300; ++i) {
    std::string text = honest[i % honest.size()];
    for (int change = 0; change < 1 + i % 3; ++change) {
      text[random() % text.size()] = bytes[random() % bytes.size()];
    }
    RawClient client(server->port());
    client.send(text);
    client.end_sending();
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.empty() || status_of(answer) >= 100) << text << answer;
  }
  RawClient client(server->port());
  client.send(kHealth);
  EXPECT_EQ(status_of(client.read_answer()), 200);
}

TEST(RequestParser, CountsABodyAfterDecoding) {
  const auto server = test::start_server();
  for (const bool in_chunks : {false, true}) {
    for (const size_t size : {size_t{1000}, size_t{1001}}) {
      const std::string body(size, 'a');
      std::string pieces;
      for (const char c : body) pieces += fmt::format("1\r\n{}\r\n", c);
      RawClient client(server->port());
      client.send(in_chunks ? chunked(pieces + "0\r\n\r\n") : post("/echo", body));
      const std::string answer = client.read_answer();
      EXPECT_EQ(status_of(answer), size > 1000 ? 413 : 200) << in_chunks << answer;
    }
  }
}

TEST(RequestParser, ASizeThatIsTooLargeIsRefusedBeforeItComes) {
  const auto server = test::start_server();
  RawClient client(server->port());
  client.send(post_with("Content-Length: 1001\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(status_of(client.read_all()), 413);
  RawClient other(server->port());
  other.send(chunked("3e9\r\n"));
  EXPECT_EQ(status_of(other.read_all()), 413);
}

TEST(RequestParser, TakesAHundredHeadersAnd64KiBOfThem) {
  const auto server = test::start_server();
  const auto ask = [&](const std::string& bytes) {
    RawClient client(server->port());
    client.send(bytes);
    return status_of(client.read_answer());
  };
  std::string headers;
  for (int i = 1; i < net::kMaxHeaders; ++i) headers += fmt::format("X-{}: 1\r\n", i);
  EXPECT_EQ(ask(get("/health", headers)), 200);
  EXPECT_EQ(ask(get("/health", headers + "X: 1\r\n")), 431);
  const size_t rest = static_cast<size_t>(net::kMaxHeadBytes) - get("/health", "X: \r\n").size();
  EXPECT_EQ(ask(get("/health", "X: " + std::string(rest, 'a') + "\r\n")), 200);
  EXPECT_EQ(ask(get("/health", "X: " + std::string(rest + 1, 'a') + "\r\n")), 431);
  EXPECT_EQ(ask(get("/" + std::string(static_cast<size_t>(net::kMaxHeadBytes), 'a'))), 414);
}

TEST(RequestParser, RangesAreIgnored) {
  const auto server = test::start_server();
  std::string ranges = "bytes=0-0";
  for (int i = 0; i < 2600; ++i) ranges += fmt::format(",{}-{}", i, i + 1);
  RawClient client(server->port());
  client.send(get("/health", "Range: " + ranges + "\r\n"));
  const std::string answer = client.read_answer();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_EQ(body_of(answer), "ok");
}

TEST(RequestParser, AsksForABodyThatWaitsToBeWanted) {
  const auto server = test::start_server();
  RawClient client(server->port());
  client.send(post_with("Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hello");
  EXPECT_EQ(body_of(client.read_answer()), "hello");
}

TEST(RequestParser, GzipIsRefusedWithWhatWouldDo) {
  const auto server = test::start_server();
  RawClient client(server->port());
  client.send(post("/echo", "\x1f\x8b", "Content-Encoding: gzip\r\n"));
  EXPECT_THAT(client.read_all(), HasSubstr("Accept-Encoding: identity\r\n"));
}

}  // namespace
}  // namespace weft
