#include "net/routes.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace weft {
namespace {

using net::HandlerThread;
using net::Routes;

void add(Routes& routes, const std::string& method, const std::string& path) {
  routes.add({method, path, true, HandlerThread::kWorker, [](const auto&) {}});
}

Routes some_routes() {
  Routes routes;
  add(routes, "GET", "/");
  add(routes, "GET", "/v1/models/{id}");
  add(routes, "GET", "/v1/models");
  add(routes, "GET", "/v1/models/default");
  add(routes, "GET", "/v1/{rest*}");
  add(routes, "POST", "/v1/workflows");
  add(routes, "DELETE", "/v1/workflows/{id}");
  return routes;
}

std::string path_of(const Routes::Match& match) { return match.route ? match.route->path : "none"; }

TEST(Routes, FindTheMostPreciseOne) {
  const Routes routes = some_routes();
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"/v1/models", "/v1/models"},
      {"/v1/%6dodels", "/v1/models"},
      {"/v1/models/default", "/v1/models/default"},
      {"/v1/models/other", "/v1/models/{id}"},
      {"/v1/models/a/b", "/v1/{rest*}"},
      {"/v1/", "none"},
      {"/v1", "none"},
      {"//", "none"},
      {"/v1/models/", "/v1/{rest*}"},
  };
  for (const auto& [path, expected] : cases) {
    EXPECT_EQ(path_of(routes.find("GET", path)), expected) << path;
  }
}

TEST(Routes, GiveParametersDecoded) {
  const Routes routes = some_routes();
  const auto one = routes.find("GET", "/v1/models/a%2Fb%20c");
  ASSERT_EQ(one.parameters.size(), 1u);
  EXPECT_EQ(one.parameters[0].first, "id");
  EXPECT_EQ(one.parameters[0].second, "a/b c");
  EXPECT_EQ(routes.find("GET", "/v1/a/b/c").parameters[0].second, "a/b/c");
}

TEST(Routes, NameThePathsMethods) {
  const Routes routes = some_routes();
  EXPECT_EQ(routes.find("HEAD", "/").route->path, "/");
  EXPECT_EQ(routes.find("POST", "/").route, nullptr);
  EXPECT_EQ(routes.find("POST", "/").allow, "GET, HEAD, OPTIONS");
  EXPECT_EQ(routes.find("POST", "/v1/workflows/7").route, nullptr);
  EXPECT_EQ(routes.find("POST", "/v1/workflows/7").allow, "DELETE, GET, HEAD, OPTIONS");
  EXPECT_EQ(routes.find("GET", "/nothing").allow, "");
  EXPECT_EQ(routes.find("OPTIONS", "*").allow, "");
}

TEST(Routes, AreListedAsAdded) {
  const Routes routes = some_routes();
  ASSERT_EQ(routes.list().size(), 7u);
  EXPECT_EQ(routes.list()[6].method, "DELETE");
  EXPECT_TRUE(routes.list()[6].needs_key);
}

TEST(Routes, RefuseWhatIsNoRoute) {
  Routes routes = some_routes();
  for (const char* path : {"", "v1", "/v1/{rest*}/x", "/v1/models", "/v1/models/{name}", "/%4"}) {
    EXPECT_THROW(add(routes, "GET", path), std::invalid_argument) << path;
  }
  EXPECT_THROW(add(routes, "", "/new"), std::invalid_argument);
  EXPECT_THROW(routes.add({"GET", "/new", true, HandlerThread::kLoop, nullptr}),
               std::invalid_argument);
  add(routes, "PUT", "/v1/models");
}

}  // namespace
}  // namespace weft
