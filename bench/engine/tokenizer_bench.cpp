// tokenizer_bench SECONDS TOKENIZER TEXTS: how fast one thread encodes the texts of a JSON array,
// one JSON object on standard output.
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "bench/measure.h"
#include "model/tokenizer/tokenizer.h"

namespace weft::bench {
namespace {

// "ids" and "ids_sum" tell whether another tokenizer gives the same. The first pass finds the
// tokenizer's cache of words empty, as at the start of a program.
Json measure(double seconds, const char* path, const char* texts_path) {
  const auto tokenizer = Tokenizer::load(path);
  std::vector<std::string> texts;
  double bytes = 0;
  for (const Json& text : read_json_file(texts_path)) {
    texts.push_back(text.get<std::string>());
    bytes += static_cast<double>(texts.back().size());
  }
  int64_t ids = 0, ids_sum = 0;
  const auto pass = [&] {
    ids = ids_sum = 0;
    for (const std::string& text : texts) {
      const auto encoded = tokenizer->encode(text);
      ids += static_cast<int64_t>(encoded.size());
      for (const int32_t id : encoded) ids_sum += id;
    }
  };
  const double first_ms = ms_of(pass);
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 3 || seconds_since(start) < seconds) times.push_back(ms_of(pass));
  return {{"mb_per_s", bytes / 1000 / quantile(times, 0.5)},
          {"first_mb_per_s", bytes / 1000 / first_ms},
          {"bytes", bytes},
          {"ids", ids},
          {"ids_sum", ids_sum}};
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw weft::InputError("usage: tokenizer_bench SECONDS TOKENIZER TEXTS");
    std::puts(weft::bench::measure(std::strtod(argv[1], nullptr), argv[2], argv[3]).dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
