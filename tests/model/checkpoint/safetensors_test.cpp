#include "model/checkpoint/safetensors.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

std::string with_length(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

// The message of the InputError that reading this file gives.
std::string refusal(const std::string& bytes) {
  const test::TempDir dir;
  const std::string path = (dir / "x.safetensors").string();
  write_file_atomically(path, bytes);
  try {
    SafetensorsReader reader(path);
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(path), std::string::npos) << e.what();
    return e.what();
  }
  return "accepted";
}

TEST(Safetensors, WrittenTensorsComeBack) {
  const test::TempDir dir;
  const std::string path = (dir / "x.safetensors").string();
  const at::Tensor a = at::arange(12, at::kFloat).view({3, 4});
  write_safetensors(path, {{"a", a},
                           {"b", a.to(at::kBFloat16).t()},
                           {"c", at::arange(3, at::kLong)},
                           {"empty", at::zeros({0, 4}, at::kFloat)},
                           {"scalar", at::zeros({}, at::kHalf)}});
  const SafetensorsReader reader(path);
  EXPECT_TRUE(at::equal(reader.tensor("a"), a));
  EXPECT_TRUE(at::equal(reader.tensor("b"), a.to(at::kBFloat16).t()));
  EXPECT_TRUE(at::equal(reader.tensor("c"), at::arange(3, at::kLong)));
  EXPECT_EQ(reader.tensor("empty").sizes(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(reader.tensor("scalar").dim(), 0);
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  EXPECT_THROW(reader.tensor("missing"), InputError);
}

TEST(Safetensors, TensorsOutliveTheirReader) {
  const test::TempDir dir;
  const std::string path = (dir / "x.safetensors").string();
  write_safetensors(path, {{"a", at::arange(5, at::kFloat)}});
  const at::Tensor a = SafetensorsReader(path).tensor("a");
  fs::remove(path);
  EXPECT_EQ(a[4].item<float>(), 4);
}

TEST(Safetensors, BrokenFilesAreRefusedWithTheReason) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data(8, '\1');
  EXPECT_EQ(refusal(with_length(good, data)), "accepted");
  const auto expect = [](const std::string& bytes, const char* reason) {
    const std::string got = refusal(bytes);
    EXPECT_NE(got.find(reason), std::string::npos) << got;
  };
  expect("", "truncated");
  expect("1234567", "truncated");
  expect(with_length(good, data).substr(0, 40), "truncated");
  expect(with_length(good, "short"), "truncated");
  expect(with_length(good, data + "extra"), "expected 8 bytes of data, got 13");
  expect(std::string(8, '\xff') + "{}", "truncated");
  expect(with_length("{\"a\":", ""), "not JSON");
  expect(with_length("[1]", ""), "expected an object");
  expect(with_length(R"({"__metadata__":[]})", ""), "__metadata__: expected an object");
  expect(with_length(R"({"__metadata__":{"format":1}})", ""), "\"format\": expected a string");
  expect(with_length(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", data), "F99");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", data),
         "expected 12 bytes");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data),
         "data_offsets");
  expect(with_length(
             R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", data),
         "data_offsets");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", data),
         "data_offsets");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[2]}})", data), "data_offsets");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                     R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                     data),
         "twice");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                     R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                     data),
         "expected a tensor at byte 8, got 4");
  expect(with_length(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data),
         "expected a tensor at byte 0, got 4");
}

TEST(Safetensors, ShardsAreReadThroughTheirIndex) {
  const test::TempDir dir;
  write_safetensors((dir / "m-1.safetensors").string(), {{"a", at::arange(3, at::kFloat)}});
  write_safetensors((dir / "m-2.safetensors").string(), {{"b", at::arange(4, at::kFloat)}});
  const auto index = [&](const std::string& map) {
    write_file_atomically(dir / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
    return SafetensorsReader::open_directory(dir.path().string());
  };
  const auto reader = index(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  EXPECT_EQ(reader.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(reader.tensor("b")[3].item<float>(), 3);
  EXPECT_THROW(index(R"({"a":"m-1.safetensors","c":"m-2.safetensors"})"), InputError);
  EXPECT_THROW(index(R"({"a":"m-3.safetensors"})"), InputError);
  EXPECT_THROW(index(R"({"a":"../m-1.safetensors"})"), InputError);
  EXPECT_THROW(index("[]"), InputError);
}

// A file size limit gives EFBIG where a full disk gives ENOSPC: the same path through the code.
TEST(Safetensors, FailedWriteLeavesNoFile) {
  const test::TempDir dir;
  const std::string path = (dir / "x.safetensors").string();
  write_safetensors(path, {{"old", at::arange(3, at::kFloat)}});
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 1 << 16;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_safetensors(path, {{"new", at::zeros({1 << 16}, at::kFloat)}}), Error);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_TRUE(SafetensorsReader(path).contains("old"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

}  // namespace
}  // namespace weft
