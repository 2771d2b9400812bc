#include "base/program.h"
#include "bench/gpu/gpu_check.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "gpu_check", "Checks the engine's GPU path against the CPU and measures it.", {}};
  return weft::run_program<weft::GpuCheckOptions>(
      argc, argv, spec, [](const weft::GpuCheckOptions& options, const weft::ProgramArgs&) {
        weft::run_gpu_check(options);
      });
}
