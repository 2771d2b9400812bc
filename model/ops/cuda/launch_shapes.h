/// Threads of the blocks that kernels.cu launches, and blocks that an SM is to hold at least, which
/// bounds the registers of a thread.
#pragma once

namespace weft::cuda {

constexpr int kRowThreads = 256;
constexpr int kAttendThreads = 128;
constexpr int kAttendBlocks = 4;
constexpr int kTileThreads = 128;  ///< kTileWarps warps
constexpr int kTileBlocks = 3;
constexpr int kTileRowBlocks = 2;  ///< of attend_rows_body
constexpr int kLoraThreads = 128;  ///< kLoraWarps warps
constexpr int kLoraBlocks = 4;
constexpr int kLossThreads = 512;
constexpr int kSampleThreads = 512;
constexpr int kSampleBlocks = 1;

}  // namespace weft::cuda
