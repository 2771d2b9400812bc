// What each GPU kernel takes of an SM, as ptxas says, against the table beside this file.
#include <cxxabi.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <sstream>
#include <tuple>

#include "base/file.h"
#include "model/ops/cuda/attention_tile_body.h"
#include "model/ops/cuda/launch_shapes.h"
#include "model/ops/cuda/lora_bodies.h"
#include "model/ops/cuda/packed_attention_bodies.h"
#include "model/ops/cuda/row_bodies.h"
#include "model/ops/cuda/sample_body.h"
#include "model/ops/cuda/training_bodies.h"
#include "tests/support/support.h"

#ifdef WEFT_CUDA
#include <cuda_occupancy.h>
#endif

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Resources {
  int registers = 0;
  int64_t shared = 0;   // bytes, without what a launch adds
  int64_t spilled = 0;  // bytes stored and loaded
};

/// Kernel and compute capability, as "run_sample" and 90.
using KernelId = std::pair<std::string, int>;

/// "run_silu_mul<float>" of a mangled kernel.
std::string kernel_name(const std::string& mangled) {
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr), std::free);
  std::smatch found;
  const std::string whole = text ? text.get() : mangled;
  const std::regex pattern(R"(::(run_\w+(<[^()]*>)?)\()");
  if (!std::regex_search(whole, found, pattern)) return whole;
  return std::regex_replace(found[1].str(), std::regex("weft::kernels::"), "");
}

std::map<KernelId, Resources> read_report(const std::string& report) {
  const std::regex entry(R"(Compiling entry function '(\w+)' for 'sm_(\d+)\w*')");
  const std::regex spills(R"((\d+) bytes spill stores, (\d+) bytes spill loads)");
  const std::regex used(R"(Used (\d+) registers)"), shared(R"((\d+) bytes smem)");
  std::map<KernelId, Resources> kernels;
  Resources* current = nullptr;
  std::istringstream lines(report);
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_search(line, found, entry)) {
      current = &kernels[{kernel_name(found[1]), std::stoi(found[2])}];
    } else if (current && std::regex_search(line, found, spills)) {
      current->spilled = std::stoll(found[1]) + std::stoll(found[2]);
    } else if (current && std::regex_search(line, found, used)) {
      current->registers = std::stoi(found[1]);
      if (std::regex_search(line, found, shared)) current->shared = std::stoll(found[1]);
    }
  }
  return kernels;
}

/// What of an SM a launch takes, and how many blocks of it an SM holds.
struct Row {
  int registers = 0;
  int64_t shared = 0;
  int blocks = 0;
  bool operator==(const Row&) const = default;
};

std::map<KernelId, Row> read_table(const std::string& text) {
  std::map<KernelId, Row> table;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    int capability = 0;
    Row row;
    words >> name >> capability >> row.registers >> row.shared >> row.blocks;
    if (!words) ADD_FAILURE() << "not a row of the table: " << line;
    table[{name, capability}] = row;
  }
  return table;
}

std::string table_line(const KernelId& id, const Row& row) {
  std::ostringstream out;
  out << id.first << ' ' << id.second << ' ' << row.registers << ' ' << row.shared << ' '
      << row.blocks;
  return out.str();
}

/// What is not as the table says, a line each.
std::vector<std::string> differences(const std::map<KernelId, Row>& built,
                                     const std::map<KernelId, Row>& table) {
  std::vector<std::string> lines;
  for (const auto& [id, row] : built) {
    const auto known = table.find(id);
    if (known == table.end()) {
      lines.push_back("not in the table: " + table_line(id, row));
    } else if (row != known->second) {
      const Row& was = known->second;
      const bool worse =
          row.registers > was.registers || row.shared > was.shared || row.blocks < was.blocks;
      lines.push_back((worse ? "worse than " : "better than ") + table_line(id, was) + ": " +
                      table_line(id, row));
    }
  }
  for (const auto& [id, row] : table) {
    if (!built.contains(id)) lines.push_back("no such kernel: " + table_line(id, row));
  }
  return lines;
}

std::vector<std::string> spills(const std::map<KernelId, Resources>& kernels) {
  std::vector<std::string> lines;
  for (const auto& [id, kernel] : kernels) {
    if (kernel.spilled == 0) continue;
    lines.push_back(id.first + " spills on sm_" + std::to_string(id.second));
  }
  return lines;
}

constexpr char kReport[] = R"(
ptxas info    : Compiling entry function '_ZN4weft4cuda61_GLOBAL__N__1_10_kernels_cu_2_19run_a6rowsIfEEvNS0_9AddRmsNormE' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 30 registers, used 1 barriers, 96 bytes smem
ptxas info    : Compiling entry function 'run_b' for 'sm_100a'
    8 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers
)";

TEST(KernelResources, AReportIsReadWithItsSpills) {
  const auto kernels = read_report(kReport);
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels.begin()->second.registers, 30);
  EXPECT_EQ(kernels.begin()->second.shared, 96);
  EXPECT_THAT(spills(kernels), ElementsAre("run_b spills on sm_100"));
}

TEST(KernelResources, NamesAreThoseOfTheSource) {
  EXPECT_EQ(kernel_name("_ZN4weft4cuda12_GLOBAL__N_18run_rowsINS_7kernels4Bf16EEEvNS0_6MatrixE"),
            "run_rows<Bf16>");
  EXPECT_EQ(kernel_name("_ZN4weft4cuda12_GLOBAL__N_18run_tileILi128EEEvNS0_6MatrixE"),
            "run_tile<128>");
  EXPECT_EQ(kernel_name("_ZN4weft4cuda12_GLOBAL__N_110run_sampleENS0_6MatrixE"), "run_sample");
}

TEST(KernelResources, WhatChangedIsNamed) {
  const std::map<KernelId, Row> table = {{{"run_a", 90}, {32, 0, 8}}, {{"run_b", 90}, {32, 0, 8}}};
  EXPECT_THAT(differences(table, table), IsEmpty());
  const auto changed = [&](const Row& row) {
    auto built = table;
    built[{"run_b", 90}] = row;
    return differences(built, table);
  };
  EXPECT_THAT(changed({33, 0, 8}), ElementsAre("worse than run_b 90 32 0 8: run_b 90 33 0 8"));
  EXPECT_THAT(changed({32, 4, 8}), ElementsAre("worse than run_b 90 32 0 8: run_b 90 32 4 8"));
  EXPECT_THAT(changed({32, 0, 7}), ElementsAre("worse than run_b 90 32 0 8: run_b 90 32 0 7"));
  EXPECT_THAT(changed({30, 0, 8}), ElementsAre("better than run_b 90 32 0 8: run_b 90 30 0 8"));
  EXPECT_THAT(differences({{{"run_c", 90}, {1, 0, 1}}}, {{{"run_a", 90}, {32, 0, 8}}}),
              ElementsAre("not in the table: run_c 90 1 0 1", "no such kernel: run_a 90 32 0 8"));
}

#ifdef WEFT_CUDA

/// Threads and bytes of shared memory that kernels.cu launches a kernel with. The shared memory of
/// attention depends on the shape: here it is that of 7 heads of 128 on one.
struct Launch {
  int threads;
  int64_t shared;
};

std::optional<Launch> launch_of(const std::string& kernel) {
  using namespace cuda;
  PagedAttention attention{};
  attention.heads = 7;
  attention.kv_heads = 1;
  attention.head_dim = 128;
  PackedAttention packed{};
  packed.head_dim = 128;
  const std::map<std::string, Launch> launches = {
      {"run_add_rms_norm", {kRowThreads, kNormShared}},
      {"run_rope_store", {kRowThreads, 0}},
      {"run_silu_mul", {kRowThreads, 0}},
      {"run_attend",
       {kAttendThreads, attend_shared(attention) * static_cast<int64_t>(sizeof(float))}},
      {"run_attend_tile",
       {kTileThreads, attend_tile_shared(attention) * static_cast<int64_t>(sizeof(float))}},
      {"run_attend_rows", {kTileThreads, 0}},
      {"run_merge_parts", {kAttendThreads, kMergeShared}},
      {"run_rms_norm_backward", {kRowThreads, kTrainingShared}},
      {"run_norm_weight_gradient", {kRowThreads, 0}},
      {"run_silu_mul_backward", {kRowThreads, 0}},
      {"run_rotate_rows", {kRowThreads, 0}},
      {"run_packed_attention", {kAttendThreads, packed_attention_shared(packed)}},
      {"run_packed_query_gradient", {kAttendThreads, packed_attention_shared(packed)}},
      {"run_packed_key_gradient", {kAttendThreads, packed_attention_shared(packed)}},
      {"run_loss_rows", {kLossThreads, kTrainingShared}},
      {"run_logit_gradient", {kLossThreads, kTrainingShared}},
      {"run_take_ids", {kRowThreads, 0}},
      {"run_lora_shrink", {kLoraThreads, kLoraShrinkShared}},
      {"run_lora_expand", {kLoraThreads, kLoraExpandShared}},
      {"run_sample", {kSampleThreads, kSampleShared}}};
  const auto found = launches.find(kernel.substr(0, kernel.find('<')));
  return found == launches.end() ? std::nullopt : std::optional(found->second);
}

/// Limits of an SM: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
cudaOccDeviceProp limits_of(int capability) {
  cudaOccDeviceProp p{};
  p.computeMajor = capability / 10;
  p.computeMinor = capability % 10;
  p.maxThreadsPerBlock = 1024;
  p.maxThreadsPerMultiprocessor = 2048;
  p.regsPerBlock = p.regsPerMultiprocessor = 64 << 10;
  p.warpSize = 32;
  p.sharedMemPerBlock = 48 << 10;
  p.sharedMemPerMultiprocessor = (capability == 80 ? 164 : 228) << 10;
  p.sharedMemPerBlockOptin = p.sharedMemPerMultiprocessor - 1024;
  p.reservedSharedMemPerBlock = 1024;
  p.numSms = 1;
  return p;
}

int blocks_per_sm(int capability, const Resources& kernel, const Launch& launch) {
  const cudaOccDeviceProp limits = limits_of(capability);
  cudaOccFuncAttributes attributes{};
  attributes.maxThreadsPerBlock = launch.threads;
  attributes.numRegs = kernel.registers;
  attributes.sharedSizeBytes = static_cast<size_t>(kernel.shared);
  const cudaOccDeviceState state{};
  cudaOccResult result{};
  const cudaOccError status = cudaOccMaxActiveBlocksPerMultiprocessor(
      &result, &limits, &attributes, &state, launch.threads, static_cast<size_t>(launch.shared));
  EXPECT_EQ(status, CUDA_OCC_SUCCESS);
  return result.activeBlocksPerMultiprocessor;
}

TEST(KernelResources, AreWhatTheTableSays) {
  const std::string report = read_file(WEFT_KERNEL_REPORT);
  const std::string release = report.substr(0, report.find('\n'));
  const std::string text =
      read_file(test::source_dir() / "tests/model/ops/cuda/kernel_resources.txt");
  const auto kernels = read_report(report);
  ASSERT_FALSE(kernels.empty()) << report;
  EXPECT_THAT(spills(kernels), IsEmpty());
  if (text.find(release) == std::string::npos) {
    GTEST_SKIP() << "no spills; the table is not that of " << release;
  }
  std::map<KernelId, Row> built;
  for (const auto& [id, kernel] : kernels) {
    const auto launch = launch_of(id.first);
    ASSERT_TRUE(launch) << id.first << " has no launch here";
    built[id] = {kernel.registers, kernel.shared + launch->shared,
                 blocks_per_sm(id.second, kernel, *launch)};
  }
  std::string changed;
  for (const std::string& line : differences(built, read_table(text))) changed += line + "\n";
  EXPECT_EQ(changed, "");
}

#else

TEST(KernelResources, AreWhatTheTableSays) {
  GTEST_SKIP() << "no nvcc where this was built: the kernels are not compiled";
}

#endif

}  // namespace
}  // namespace weft
