#include "tests/support/fake_device/cpu_fallback.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty_strided.h>
#include <c10/util/Exception.h>

#include <set>

#include "tests/support/fake_device/host_views.h"
#include "tests/support/fake_device/operators.h"

namespace weft::test::fake {
namespace {

// Operators whose result's size depends on values: on a GPU the host waits for them.
const std::set<std::string>& data_dependent() {
  static const std::set<std::string> names = {"aten::nonzero",
                                              "aten::nonzero_numpy",
                                              "aten::masked_select",
                                              "aten::masked_select.out",
                                              "aten::_unique",
                                              "aten::_unique2",
                                              "aten::unique_dim",
                                              "aten::unique_consecutive",
                                              "aten::unique_dim_consecutive",
                                              "aten::bincount",
                                              "aten::repeat_interleave.Tensor"};
  return names;
}

void run_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack& stack) {
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
}

template <class F>
c10::IValue map_tensors(const c10::IValue& value, F&& f) {
  if (value.isTensor()) return f(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& t : value.toTensorVector()) list.push_back(f(t));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& t : value.toOptionalTensorVector()) {
      list.push_back(t ? std::optional<at::Tensor>(f(*t)) : std::nullopt);
    }
    return list;
  }
  return value;
}

bool writes(const c10::Argument& argument) {
  return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

at::Tensor empty_as(const at::Tensor& host) {
  return at::empty_strided(host.sizes(), host.strides(), host.options().device(own_device()));
}

/// One call of an operator.
class Call {
 public:
  Call(const c10::OperatorHandle& op, torch::jit::Stack& stack)
      : op_(op),
        name_(c10::toString(op.operator_name())),
        stack_(stack),
        stream_(gpu_.current_stream()) {
    for (const auto& r : op.schema().returns()) {
      TORCH_CHECK(r.alias_info() == nullptr || writes(r), "fake device: ", name_,
                  " gives a view and has no form on the device");
      gives_numbers_ = gives_numbers_ || !may_hold_tensors(*r.type());
    }
    const auto& arguments = op.schema().arguments();
    const auto given = torch::jit::last(stack, arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i) add(given[i], writes(arguments[i]));
  }

  /// Leaves the results on the stack.
  void run() {
    torch::jit::Stack all = gpu_.is_capturing(stream_) ? record() : compute();
    torch::jit::drop(stack_, op_.schema().arguments().size());
    for (c10::IValue& value : all) torch::jit::push(stack_, std::move(value));
  }

 private:
  static bool may_hold_tensors(const c10::Type& type) {
    return type.kind() == c10::TypeKind::TensorType || type.kind() == c10::TypeKind::ListType ||
           type.kind() == c10::TypeKind::OptionalType;
  }

  void add(const c10::IValue& argument, bool is_written) {
    if (argument.isDevice()) {
      host_.emplace_back(at::Device(at::kCPU));
      return;
    }
    host_.push_back(map_tensors(argument, [&](const at::Tensor& t) {
      if (!t.defined()) return t;
      if (t.is_cpu()) {
        TORCH_CHECK(t.dim() == 0 && !is_written, "fake device: ", name_, " got a CPU tensor of ",
                    t.sizes(), " among tensors of the device");
        return gpu_.is_capturing(stream_) ? t.clone() : t;
      }
      TORCH_CHECK(t.device() == own_device(), "fake device: ", name_, " got a tensor of ",
                  t.device());
      accesses_.push_back(access_to(t, is_written));
      at::Tensor view = views_.of(t);
      if (is_written) written_.emplace_back(t, view);
      return view;
    }));
  }

  // Whether the host must wait for the operator's work before it can go on.
  bool waits() const { return gives_numbers_ || data_dependent().count(name_) > 0; }

  // The argument that the i-th result is; null where it is new.
  const c10::IValue* argument_of_result(size_t i) const {
    const auto& schema = op_.schema();
    const auto* alias = schema.returns()[i].alias_info();
    const size_t count = schema.arguments().size();
    for (size_t a = 0; alias && a < count; ++a) {
      const auto* of = schema.arguments()[a].alias_info();
      if (of && *of == *alias) return &torch::jit::peek(stack_, a, count);
    }
    return nullptr;
  }

  // What the operator gives for the CPU's results: `make` gives a tensor of the device for a new
  // one.
  template <class F>
  torch::jit::Stack results(const torch::jit::Stack& host, F&& make) const {
    torch::jit::Stack all;
    for (size_t i = 0; i < host.size(); ++i) {
      const c10::IValue* const given = argument_of_result(i);
      all.push_back(given ? *given : map_tensors(host[i], [&](const at::Tensor& t) {
        return t.defined() ? make(t) : t;
      }));
    }
    return all;
  }

  // Copies a result of the CPU to the device in the stream's turn.
  void fill(const at::Tensor& on_device, const at::Tensor& host) const {
    if (host.numel() == 0) return;
    const at::Tensor view = HostViews().of(on_device);
    gpu_.launch_here(stream_,
                     {name_, {access_to(on_device, true)}, [&] { view.copy_(host.detach()); }});
  }

  torch::jit::Stack compute() {
    torch::jit::Stack host = host_;
    gpu_.launch_here(stream_, {name_, accesses_, [&] { run_on_cpu(op_, host); }});
    if (waits()) gpu_.synchronize(stream_, name_);
    for (const auto& [on_device, view] : written_) {
      if (on_device.sizes() == view.sizes()) continue;
      on_device.resize_(view.sizes());
      fill(on_device, view);
    }
    return results(host, [&](const at::Tensor& t) {
      const at::Tensor on_device = empty_as(t);
      fill(on_device, t);
      return on_device;
    });
  }

  // Leaves the work to the graph. The sizes of its results are those of a run on zeros.
  torch::jit::Stack record() {
    if (waits()) gpu_.refuse_while_capturing(stream_, name_);
    const auto zeros = [](const at::Tensor& t) {
      return t.defined() ? at::empty_strided(t.sizes(), t.strides(), t.options()).zero_() : t;
    };
    torch::jit::Stack trial;
    for (const c10::IValue& value : host_) trial.push_back(map_tensors(value, zeros));
    run_on_cpu(op_, trial);
    HostViews views;
    std::vector<at::Tensor> outputs;
    torch::jit::Stack all = results(trial, [&](const at::Tensor& t) {
      const at::Tensor on_device = empty_as(t);
      accesses_.push_back(access_to(on_device, true));
      outputs.push_back(views.of(on_device));
      return on_device;
    });
    std::vector<bool> is_new;
    for (size_t i = 0; i < trial.size(); ++i) is_new.push_back(argument_of_result(i) == nullptr);
    gpu_.launch(stream_, {name_, accesses_, [op = op_, host = host_, outputs, is_new] {
                            torch::jit::Stack stack = host;
                            run_on_cpu(op, stack);
                            auto output = outputs.begin();
                            for (size_t i = 0; i < stack.size(); ++i) {
                              if (!is_new[i]) continue;
                              map_tensors(stack[i], [&](const at::Tensor& t) {
                                if (t.defined()) (output++)->copy_(t);
                                return t;
                              });
                            }
                          }});
    return all;
  }

  c10::OperatorHandle op_;
  const std::string name_;
  torch::jit::Stack& stack_;
  FakeGpu& gpu_ = FakeGpu::get();
  const StreamId stream_;
  bool gives_numbers_ = false;  // among its results
  HostViews views_;
  torch::jit::Stack host_;
  std::vector<Access> accesses_;
  std::vector<std::pair<at::Tensor, at::Tensor>> written_;  // of the device, of the CPU
};

}  // namespace

void cpu_fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call(op, *stack).run();
}

}  // namespace weft::test::fake
