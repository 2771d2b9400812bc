#include "sandbox/trusted/web_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <future>
#include <thread>

#include "base/file.h"
#include "base/utf8.h"
#include "sandbox/trusted/tool_box.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using testing::HasSubstr;

/// A server on loopback that says what it was asked.
class Asked : public testing::Test {
 protected:
  Asked() {
    server_.Get("/text",
                [](const auto&, auto& to) { to.set_content("gr\xFC\xC3\xBC", "text/plain"); });
    server_.Post("/echo", [](const auto& from, auto& to) {
      to.set_content(from.get_header_value("X-Key") + "|" + from.body, "text/plain");
    });
    server_.Get("/missing", [](const auto&, auto& to) {
      to.status = 404;
      to.set_content("no\nsuch page", "text/plain");
    });
    server_.Get("/here", [](const auto&, auto& to) { to.set_redirect("/text"); });
    server_.Get("/round", [](const auto&, auto& to) { to.set_redirect("/round"); });
    server_.Get("/away", [this](const auto&, auto& to) {
      to.set_redirect("http://127.0.0.2:" + std::to_string(port_) + "/text");
    });
    server_.Get("/slow", [](const auto&, auto& to) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      to.set_content("late", "text/plain");
    });
    server_.Get("/large", [](const auto&, auto& to) {
      to.set_content(std::string(WebAccess::kMostBodyBytes + 1, 'x'), "text/plain");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Asked() override {
    server_.stop();
    thread_.join();
  }

  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  WebAccess web() const { return WebAccess({"127.0.0.1:" + std::to_string(port_)}); }
  std::string fault(const WebAccess& web, const std::string& url, int64_t timeout_ms = 5000) const {
    const auto reply = web.fetch({url, std::nullopt, {}}, timeout_ms);
    EXPECT_FALSE(reply.ok) << url << ": " << reply.text;
    EXPECT_EQ(reply.text.find('\n'), std::string::npos) << reply.text;
    return reply.text;
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
};

TEST_F(Asked, GetsPostsAndFollowsToNamedHosts) {
  for (const char* path : {"/text", "/here"}) {
    const auto reply = web().fetch({url(path), std::nullopt, {}}, 5000);
    EXPECT_TRUE(reply.ok) << reply.text;
    EXPECT_EQ(reply.text, "gr\xEF\xBF\xBD\xC3\xBC") << path;  // valid UTF-8, whatever came
  }
  const auto reply = web().fetch({url("/echo"), "a\nb", {{"X-Key", "k"}}}, 5000);
  EXPECT_EQ(reply.text, "k|a\nb");
}

TEST_F(Asked, OnlyNamedHostsAreAsked) {
  const std::string port = std::to_string(port_);
  EXPECT_THAT(fault(web(), url("/away")), HasSubstr("tools.hosts does not name 127.0.0.2:" + port));
  for (const std::string& other : std::vector<std::string>{
           "http://127.0.0.2:" + port + "/text", "http://127.0.0.1/text", "https://127.0.0.1:1/",
           "http://127.0.0.1:" + port + "@127.0.0.2/", "file:///etc/passwd", "ftp://127.0.0.1/", "",
           "127.0.0.1", "http://", "http://127.0.0.1:" + port + ".evil.example/"}) {
    EXPECT_THAT(fault(web(), other),
                testing::AnyOf(HasSubstr("does not name"), HasSubstr("expected an http")))
        << other;
  }
  const WebAccess usual({"Example.ORG"}), secure({"example.org:443"});
  EXPECT_THAT(fault(usual, "http://example.org:8080/"), HasSubstr("not name example.org:8080"));
  EXPECT_THAT(fault(secure, "http://example.org/"), HasSubstr("not name example.org"));
}

TEST_F(Asked, WhatIsNoAnswerIsAFaultInOneLine) {
  EXPECT_EQ(fault(web(), url("/missing")), "HTTP 404 no such page");
  EXPECT_THAT(fault(web(), url("/round")), HasSubstr("more than 5 redirects"));
  EXPECT_THAT(fault(web(), url("/large")), HasSubstr("a body of more than 4194304 bytes"));
  EXPECT_THAT(fault(web(), url("/slow"), 50), HasSubstr("timed out"));
  EXPECT_FALSE(web().fetch({url("/echo"), "", {{"A", "b\r\nX-Key: c"}}}, 5000).ok);
  const std::atomic<bool> cancelled = true;
  EXPECT_FALSE(web().fetch({url("/slow"), std::nullopt, {}}, 5000, &cancelled).ok);
}

TEST(WebHosts, AreHostsAndPortsAlone) {
  EXPECT_NO_THROW(WebAccess({"api.example.org", "localhost:8080", "[::1]:80", "10.0.0.1"}));
  for (const char* bad : {"", "http://example.org", "example.org/path", "user@example.org",
                          "example.org:no", "example.org:70000", "a b", "example.org?x"}) {
    EXPECT_THAT(test::input_error([&] { WebAccess({bad}); }), HasSubstr("tools.hosts")) << bad;
  }
}

TEST_F(Asked, AToolAsksByHttpAndSeesFaultsAsConnectionErrors) {
  test::TempDir folder;
  ToolOptions options{.file = (folder / "mine.py").string()};
  write_file_atomically(options.file,
                        "def page(url):\n    return http(url)\n"
                        "def send(url, text):\n"
                        "    return http(url, data=text.encode(), headers={'X-Key': 'mine'})\n"
                        "def tried(url):\n    try:\n        return http(url)\n"
                        "    except ConnectionError as error:\n        return str(error)\n"
                        "def wrong():\n    return http(1)\n");
  const auto call = [&](const std::string& name, std::vector<PythonValue> arguments) {
    const ToolBox box(test::shared_sandbox(), options);
    std::promise<ToolReply> promise;
    box.call({name, std::move(arguments), {}, nullptr, nullptr},
             [&](ToolReply reply) { promise.set_value(std::move(reply)); });
    const ToolReply reply = promise.get_future().get();
    return reply.value ? reply.value->text : reply.fault;
  };
  const auto text = [](const std::string& value) { return PythonValue::str(value); };
  EXPECT_THAT(call("page", {text(url("/text"))}), HasSubstr("NameError"));  // no host is named
  options.hosts = {"127.0.0.1:" + std::to_string(port_)};
  EXPECT_EQ(call("page", {text(url("/text"))}), "gr\xEF\xBF\xBD\xC3\xBC");
  EXPECT_EQ(call("send", {text(url("/echo")), text("ab")}), "mine|ab");
  EXPECT_EQ(call("tried", {text(url("/missing"))}), url("/missing") + ": HTTP 404 no such page");
  EXPECT_THAT(call("page", {text("http://127.0.0.2/")}), HasSubstr("ERROR(ConnectionError)"));
  EXPECT_THAT(call("wrong", {}), HasSubstr("ERROR(TypeError)"));
  options.wall_ms = 200;
  EXPECT_THAT(call("page", {text(url("/slow"))}), HasSubstr("page: "));
}

}  // namespace
}  // namespace weft
