// The fake device as LibTorch sees it: what it computes, and that each of its guards fires where a
// GPU would fail or go wrong, and lets an honest twin pass.
#include "tests/support/fake_device/fake_device.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <csignal>

#include "tests/support/emulated_gpu.h"
#include "tests/support/fake_device/fake_gpu.h"

namespace weft {
namespace {

using test::fake::device;
using test::fake::FakeGpu;
using testing::AllOf;
using testing::HasSubstr;

/// What a call is refused with; empty where it is not.
template <class F>
std::string refusal(F&& call) {
  try {
    call();
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

bool same(const at::Tensor& a, const at::Tensor& b) { return a.cpu().equal(b.cpu()); }

c10::Stream new_stream() {
  return c10::impl::VirtualGuardImpl(device().type()).getStreamFromGlobalPool(device());
}

void settle() { FakeGpu::get().synchronize_all("test"); }

/// Operands on the CPU and their copies on the device.
struct Operands {
  at::Tensor x = at::rand({4, 6}), w = at::rand({6, 6}), ids = at::arange(3);
  at::Tensor dx = x.to(device()), dw = w.to(device()), dids = ids.to(device());
};

TEST(FakeDevice, HostAccessToATensorDies) {
  const at::Tensor on_cpu = at::ones({2});
  const at::Tensor t = on_cpu.to(device());
  volatile const float* values = t.const_data_ptr<float>();
  EXPECT_EXIT(static_cast<void>(values[0]), testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EQ(on_cpu.const_data_ptr<float>()[0], 1);
  EXPECT_EQ(t.cpu().const_data_ptr<float>()[0], 1);
}

TEST(FakeDevice, ComputesWhatTheCpuComputes) {
  const Operands o;
  EXPECT_TRUE(same(at::linear(o.dx, o.dw), at::linear(o.x, o.w)));
  EXPECT_TRUE(same(at::silu(o.dx).mul(2), at::silu(o.x).mul(2)));
  EXPECT_TRUE(same(at::log_softmax(o.dx, 1), at::log_softmax(o.x, 1)));
  EXPECT_TRUE(same(at::embedding(o.dx, o.dids), at::embedding(o.x, o.ids)));
  EXPECT_TRUE(same(o.dx.narrow(1, 1, 3).t().contiguous(), o.x.narrow(1, 1, 3).t().contiguous()));
  EXPECT_EQ(o.dx.sum().item<float>(), o.x.sum().item<float>());
  EXPECT_TRUE(same(at::nonzero(o.dx > 0.5), at::nonzero(o.x > 0.5)));
}

TEST(FakeDevice, OutputsAndViewsAreWrittenInPlace) {
  const Operands o;
  const at::Tensor out = at::empty({4, 6}, o.dx.options());
  at::Tensor target = out;
  at::mm_out(target, o.dx, o.dw);
  EXPECT_TRUE(same(out, at::mm(o.x, o.w)));
  out.narrow(0, 1, 2).add_(1);
  out.select(1, 0).zero_();
  at::Tensor expected = at::mm(o.x, o.w);
  expected.narrow(0, 1, 2).add_(1);
  expected.select(1, 0).zero_();
  EXPECT_TRUE(same(out, expected));

  at::Tensor grown = at::empty({0}, o.dx.options());
  at::mm_out(grown, o.dx, o.dw);
  EXPECT_TRUE(same(grown, at::mm(o.x, o.w)));
  out.resize_({8, 6});
  EXPECT_TRUE(same(out.narrow(0, 0, 4), expected));
}

TEST(FakeDevice, GradientsAreThoseOfTheCpu) {
  const Operands o;
  const auto gradient = [](const at::Tensor& x, at::Tensor w) {
    w.requires_grad_();
    const at::Tensor loss = at::silu(at::linear(x, w)).pow(2).sum();
    return torch::autograd::grad({loss}, {w})[0];
  };
  const at::Tensor mine = gradient(o.dx, o.dw);
  EXPECT_EQ(mine.device(), device());
  EXPECT_TRUE(mine.cpu().allclose(gradient(o.x, o.w), 1e-5, 1e-6));  // of 4 products
}

// LibTorch's own fallback to the CPU takes all of these.
TEST(FakeDevice, RefusesACpuTensorAmongItsOwn) {
  const Operands o;
  const auto expect_refused = [](const char* name, auto&& call) {
    EXPECT_THAT(refusal(call), AllOf(HasSubstr(name), HasSubstr("CPU tensor"))) << name;
  };
  expect_refused("aten::index_select", [&] { at::index_select(o.dx, 0, o.ids); });
  expect_refused("aten::", [&] { at::linear(o.dx, o.w); });
  expect_refused("aten::mm", [&] { at::mm(o.dx, o.w); });
  expect_refused("aten::cat", [&] { at::cat({o.dx, o.x}); });
  expect_refused("aten::index", [&] { at::index(o.dx, {o.ids}); });
  at::Tensor out = at::empty({4, 6});
  EXPECT_NE(refusal([&] { at::mm_out(out, o.dx, o.dw); }), "");
  const auto flash = [&](const at::Tensor& ends) {
    const at::Tensor q = at::ones({2, 1, 8}, o.dx.options().dtype(at::kBFloat16));
    at::_flash_attention_forward(q, q, q, ends, ends, 2, 2, 0, true, false, 1.0);
  };
  const at::Tensor ends = at::arange(0, 3, 2, at::kInt);
  EXPECT_THAT(refusal([&] { flash(ends); }), HasSubstr("of the CPU"));
  EXPECT_EQ(refusal([&] { flash(ends.to(device())); }), "");

  EXPECT_TRUE(same(at::index_select(o.dx, 0, o.dids), at::index_select(o.x, 0, o.ids)));
  EXPECT_TRUE(same(at::cat({o.dx, o.dx}), at::cat({o.x, o.x})));
  EXPECT_TRUE(same(at::index(o.dx, {o.dids}), at::index(o.x, {o.ids})));
  EXPECT_TRUE(same(o.dx.add(at::full({}, 2.0)), o.x.add(2.0)));  // a number, as GPUs take it
}

TEST(FakeDevice, AnOperatorThatReadsAnotherStreamsResultMustWait) {
  const Operands o;
  settle();
  const c10::Stream stream = new_stream();
  const at::Tensor product = at::mm(o.dx, o.dw);
  const auto consume = [&] {
    const c10::StreamGuard guard(stream);
    return at::silu(product);
  };
  EXPECT_THAT(refusal(consume), AllOf(HasSubstr("aten::silu"), HasSubstr("reads storage"),
                                      HasSubstr("aten::mm"), HasSubstr("without a wait")));
  c10::Event produced(device().type());
  produced.record(c10::impl::VirtualGuardImpl(device().type()).getStream(device()));
  produced.block(stream);
  EXPECT_EQ(refusal(consume), "");
  settle();
}

TEST(FakeDevice, AnOperatorThatOverwritesWhatAnotherStreamReadsMustWait) {
  const Operands o;
  settle();
  const c10::Stream stream = new_stream();
  {
    const c10::StreamGuard guard(stream);
    at::silu(o.dx);
  }
  const auto overwrite = [&] { o.dx.zero_(); };
  EXPECT_THAT(refusal(overwrite), AllOf(HasSubstr("aten::zero_"), HasSubstr("overwrites storage"),
                                        HasSubstr("aten::silu"), HasSubstr("reads")));
  stream.synchronize();
  EXPECT_EQ(refusal(overwrite), "");
}

TEST(FakeDevice, AKernelMustWaitForAnOperatorAndAnOperatorForAKernel) {
  const cuda::Library& library = test::emulated_gpu();
  const at::Tensor gate_up = at::ones({2, 16}, at::TensorOptions(device()));
  const at::Tensor y = at::empty({2, 8}, gate_up.options());
  settle();
  gate_up.mul_(2);
  const c10::Stream stream = new_stream();
  const auto launch = [&] {
    return library.kernels.silu_mul(
        {gate_up.const_data_ptr(), y.data_ptr(), 2, 8, cuda::Dtype::kF32},
        reinterpret_cast<void*>(stream.id()));
  };
  int32_t status = launch();
  ASSERT_NE(status, 0);
  EXPECT_THAT(library.error_text(status),
              AllOf(HasSubstr("silu_mul on stream " + std::to_string(stream.id())),
                    HasSubstr("aten::mul")));
  settle();
  status = launch();
  EXPECT_EQ(status, 0) << library.error_text(status);
  EXPECT_THAT(refusal([&] { y.sum(); }),
              AllOf(HasSubstr("aten::sum"), HasSubstr("silu_mul on stream")));
  stream.synchronize();
  EXPECT_EQ(refusal([&] { y.sum(); }), "");
}

TEST(FakeDevice, AKernelRefusesMemoryOfTheHost) {
  const cuda::Library& library = test::emulated_gpu();
  const at::Tensor gate_up = at::ones({2, 16}), y = at::empty({2, 8}, device());
  const int32_t status = library.kernels.silu_mul(
      {gate_up.const_data_ptr(), y.data_ptr(), 2, 8, cuda::Dtype::kF32}, nullptr);
  ASSERT_NE(status, 0);
  EXPECT_THAT(library.error_text(status), HasSubstr("address of the host"));
}

TEST(FakeDevice, OnlyCopiesThatAreAskedToLeaveTheHostFree) {
  const at::Tensor t = at::zeros({1000}, device());
  const at::Tensor pinned = at::ones({1000}, at::TensorOptions().pinned_memory(true));
  ASSERT_TRUE(pinned.is_pinned());
  volatile float* values = pinned.data_ptr<float>();
  t.copy_(pinned);
  values[0] = 2;
  t.copy_(pinned, /*non_blocking=*/true);
  EXPECT_EXIT(values[0] = 3, testing::KilledBySignal(SIGSEGV), "");
  settle();
  values[0] = 3;
  EXPECT_EQ(t[0].item<float>(), 2);
  pinned.copy_(t, /*non_blocking=*/true);
  EXPECT_EXIT(static_cast<void>(values[0]), testing::KilledBySignal(SIGSEGV), "");
  settle();
  EXPECT_EQ(values[0], 2);
}

/// LibTorch's operators while a stream is being captured.
class FakeDeviceCapture : public testing::Test {
 protected:
  const at::Tensor x = at::ones({4, 4}, device()), y = at::zeros({4, 4}, device());
  const cuda::Services& services = test::emulated_gpu().services;

  void SetUp() override { check(services.use_device(0)); }
  void TearDown() override {
    settle();
    FakeGpu::get().exchange_stream(0);
  }

  static void check(int32_t status) {
    if (status != 0) throw std::runtime_error(test::emulated_gpu().error_text(status));
  }
  /// Records `body`; throws what it throws.
  void* capture(std::function<void()> body) {
    void* graph = nullptr;
    check(services.capture([](void* f) { (*static_cast<std::function<void()>*>(f))(); }, &body,
                           &graph));
    return graph;
  }
};

TEST_F(FakeDeviceCapture, ReplayComputesAnewFromTheSamePlaces) {
  void* const graph = capture([&] {
    at::Tensor target = y;
    at::mm_out(target, x, at::silu(x).add(1));
  });
  EXPECT_EQ(y.sum().item<float>(), 0);  // nothing has run yet
  for (const float value : {1.0f, 3.0f}) {
    x.fill_(value);
    check(services.replay(graph));
    EXPECT_TRUE(same(y, at::mm(x, at::silu(x).add(1))));
  }
  services.destroy(graph);
}

TEST_F(FakeDeviceCapture, RefusesWhatTheHostWouldWaitFor) {
  const at::Tensor on_cpu = at::ones({4, 4});
  void* data = nullptr;
  const auto expect_refused = [&](const char* name, std::function<void()> body) {
    EXPECT_THAT(refusal([&] { capture(body); }),
                AllOf(HasSubstr(name), HasSubstr("is being captured")));
  };
  expect_refused("aten::_local_scalar_dense", [&] { x.sum().item(); });
  expect_refused("aten::copy_", [&] { x.copy_(on_cpu); });
  expect_refused("aten::copy_", [&] { x.cpu(); });
  expect_refused("aten::nonzero", [&] { at::nonzero(x); });
  expect_refused("aten::equal", [&] { x.equal(y); });
  expect_refused("synchronize", [&] { check(services.synchronize()); });
  expect_refused("use_device", [&] { check(services.use_device(0)); });
  expect_refused("pinning", [&] { check(services.pin(64, &data)); });
  services.destroy(capture([&] { at::zeros({8}, device()).add_(1); }));
}

// Rows of two sequences, the second with tokens before its rows; softmax by hand.
TEST(FakeDevice, FlashAttentionSeesUpToTheLowerRightCorner) {
  const int64_t heads = 4, kv_heads = 2, dim = 8;
  const auto random = [&](int64_t rows, int64_t n) {
    return at::rand({rows, n, dim}).to(at::kBFloat16);
  };
  const at::Tensor q = random(5, heads), k = random(9, kv_heads), v = random(9, kv_heads);
  const auto ends = [](std::vector<int32_t> values) {
    at::Tensor t = at::empty({std::ssize(values)}, at::kInt);
    std::copy(values.begin(), values.end(), t.data_ptr<int32_t>());
    return t.to(device());
  };
  const at::Tensor mine = std::get<0>(
      at::_flash_attention_forward(q.to(device()), k.to(device()), v.to(device()), ends({0, 3, 5}),
                                   ends({0, 3, 9}), 3, 6, 0, true, false, 0.5));
  const auto row = [&](int64_t r, int64_t head, int64_t first, int64_t seen) {
    const at::Tensor keys = k.narrow(0, first, seen).select(1, head / 2).to(at::kFloat);
    const at::Tensor values = v.narrow(0, first, seen).select(1, head / 2).to(at::kFloat);
    const at::Tensor scores = keys.mv(q[r][head].to(at::kFloat)) * 0.5;
    return scores.softmax(0).matmul(values);
  };
  const at::Tensor result = mine.cpu().to(at::kFloat);
  const auto expect_row = [&](int64_t r, int64_t first, int64_t seen) {
    for (int64_t h = 0; h < heads; ++h) {
      EXPECT_LE((result[r][h] - row(r, h, first, seen)).abs().max().item<float>(), 0x1p-8);
    }
  };
  expect_row(0, 0, 1);
  expect_row(2, 0, 3);
  expect_row(3, 3, 5);
  expect_row(4, 3, 6);
}

}  // namespace
}  // namespace weft
