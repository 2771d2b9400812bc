#include "base/program.h"
#include "base/unfinished_file.h"
#include "trainer/evaluate/estimate_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{"estimate",
                               "Means and paired differences of JSON lines with their intervals.",
                               {{"--in", "in", "JSON lines, - for standard input"}}};
  return weft::run_program<weft::EstimateOptions>(
      argc, argv, spec, [](const weft::EstimateOptions& options, const weft::ProgramArgs&) {
        weft::JsonlReader in(options.in);
        weft::UnfinishedFile file(options.out);
        weft::JsonlWriter out(file.path());
        const int64_t num_bad = weft::estimate_rows(in, out, options.bootstrap);
        file.publish();
        if (num_bad > 0) throw weft::Error(std::to_string(num_bad) + " lines could not be read");
      });
}
