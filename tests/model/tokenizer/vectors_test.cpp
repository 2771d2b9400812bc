// Against Hugging Face tokenizers (fixture), and against vectors of llama.cpp (.inp/.out files)
// and of tokenizers 0.22.2 on vocabularies that are kept outside the project.
#include <gtest/gtest.h>

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer/scanner.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Ids = std::vector<int32_t>;

struct Vector {
  std::string text;
  Ids ids;
};

// Texts are separated by a line of their own, ids are one line each.
std::vector<Vector> read_vectors(const std::filesystem::path& stem) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = read_file(stem.string() + ".inp");
  std::istringstream ids(read_file(stem.string() + ".out"));
  std::vector<Vector> vectors;
  for (size_t at = 0; at < texts.size();) {
    size_t end = texts.find(separator, at);
    if (end == std::string::npos) break;
    Vector vector{texts.substr(at, end - at), {}};
    std::string line;
    std::getline(ids, line);
    std::istringstream numbers(line);
    for (int32_t id; numbers >> id;) vector.ids.push_back(id);
    vectors.push_back(std::move(vector));
    at = end + separator.size();
  }
  return vectors;
}

std::string gunzip(const std::filesystem::path& file) {
  const auto run = test::run_program({"/bin/gzip", "-dc", file.string()});
  if (run.exit_code != 0) throw Error(run.err);
  return run.out;
}

void expect_equal(const Tokenizer& tokenizer, const std::vector<Vector>& vectors) {
  for (const Vector& vector : vectors) {
    EXPECT_EQ(tokenizer.encode(vector.text, false), vector.ids) << vector.text;
  }
}

TEST(DefaultModelTokenizer, EqualsHuggingFace) {
  const auto model = test::source_dir() / "models" / "SmolLM2-135M-Instruct";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no default model (scripts/bootstrap.sh)";
  const auto tokenizer = Tokenizer::load(model);
  const Json cases = read_json_file(test::fixture("smollm2_tokenizer.json"))["cases"];
  EXPECT_GE(cases.size(), 200u);
  for (const Json& test_case : cases) {
    const auto ids = test_case["ids"].get<Ids>();
    if (test_case.contains("text")) {
      EXPECT_EQ(tokenizer->encode(test_case["text"].get<std::string>()), ids) << test_case["text"];
    }
    EXPECT_EQ(tokenizer->decode(ids), test_case["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer->decode(ids, true),
              test_case["decoded_without_special"].get<std::string>());
  }
}

class TokenizerVectors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
    data_ = test::reference_data() / "tokenizers";
  }

  std::unique_ptr<Tokenizer> unpack(const std::string& archive) {
    write_file_atomically(dir_ / "tokenizer.json", gunzip(data_ / archive));
    return Tokenizer::load(dir_.path());
  }

  // Qwen2's vocabulary and merges, put together as its tokenizer.json is.
  std::unique_ptr<Tokenizer> qwen2() {
    Json json = {{"normalizer", {{"type", "NFC"}}}, {"decoder", {{"type", "ByteLevel"}}}};
    json["pre_tokenizer"]["type"] = "Sequence";
    json["pre_tokenizer"]["pretokenizers"] = {
        {{"type", "Split"}, {"pattern", {{"Regex", kQwen2Regex}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}};
    const Json config = read_json_file(data_ / "qwen2.5-tokenizer_config.json");
    for (const auto& [id, token] : config["added_tokens_decoder"].items()) {
      json["added_tokens"].push_back(token);
      json["added_tokens"].back()["id"] = std::stoi(id);
    }
    Json merges = Json::array();
    std::istringstream lines(gunzip(data_ / "derived-qwen2-merges.txt.gz"));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
    }
    std::string model = R"({"type":"BPE","merges":)" + dump_json(merges) + R"(,"vocab":)" +
                        gunzip(data_ / "derived-qwen2-vocab.json.gz") + "}";
    std::string text = dump_json(json);
    text.back() = ',';
    write_file_atomically(dir_ / "tokenizer.json", text + "\"model\":" + model + "}");
    return Tokenizer::load(dir_.path());
  }

  std::filesystem::path data_;
  test::TempDir dir_;
};

TEST_F(TokenizerVectors, Gpt2EqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-gpt-2.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*unpack("gpt2-tokenizer.json.gz"), vectors);
}

TEST_F(TokenizerVectors, Gpt2EqualsTiktoken) {
  expect_equal(
      *unpack("gpt2-tokenizer.json.gz"),
      {{"", {}},
       {"  ", {220, 220}},
       {"Hello, y'all! How are you \U0001F601 "
        "?\u6211\u60F3\u5728apple\u5DE5\u4F5C1314151\u5929\uFF5E",
        {15496, 11,    331,   6,    439,   0,     1374,  389, 345,   30325,
         223,   5633,  22755, 239,  46349, 111,   28839, 101, 18040, 32432,
         98,    43291, 1485,  1415, 24309, 25465, 171,   121, 252}},
       {"I'LL  don'T\r\n\r\n x", {40, 6, 3069, 220, 836, 6, 51, 201, 198, 201, 198, 2124}},
       {"1234567 3.14 \u2460\u2163\u00BD \u0663",
        {10163, 2231, 3134, 513, 13, 1415, 2343, 239, 254, 158, 227, 96, 23141, 18923, 96}},
       {"a\u00A0b\u2003"
        "c\u3000"
        "d",
        {64, 1849, 65, 447, 225, 66, 5099, 222, 67}},
       {"\u017F'\u017F 'S K'\u212A", {129, 123, 6, 129, 123, 705, 50, 509, 6, 158, 226, 103}},
       {"\r\n \r\n\t\n", {201, 198, 220, 201, 198, 197, 198}}});
}

TEST_F(TokenizerVectors, Qwen2EqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-qwen2.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*qwen2(), vectors);
}

TEST_F(TokenizerVectors, Qwen2EqualsHuggingFace) {
  const auto tokenizer = qwen2();
  expect_equal(*tokenizer, {{"  ", {256}},
                            {"e\u0301 \u00E9 \u212B \uFB01", {963, 3958, 79252, 32495, 70731}},
                            {"a\u00A0b\u2003"
                             "c\u3000"
                             "d",
                             {64, 4102, 65, 378, 225, 66, 22441, 67}},
                            {"<|im_start|> <|im_end |>", {151644, 82639, 318, 6213, 58721}},
                            {"\u017F'\u017F 'S K'\u212A", {144815, 6, 144815, 364, 50, 730, 6, 42}},
                            {"   leading and trailing   ", {256, 6388, 323, 27748, 262}},
                            {"\r\n \r\n\t\n", {319, 2529, 1572}}});
  EXPECT_EQ(tokenizer->decode(Ids{151644, 872, 198}, false), "<|im_start|>user\n");
  EXPECT_EQ(tokenizer->decode(Ids{151644, 872, 198}, true), "user\n");
}

TEST_F(TokenizerVectors, LlamaSentencePieceEqualsLlamaCpp) {
  const auto vectors = read_vectors(data_ / "ggml-vocab-llama-spm.gguf");
  EXPECT_GE(vectors.size(), 40u);
  expect_equal(*Tokenizer::load(data_ / "llama2-tokenizer.model"), vectors);
  expect_equal(*unpack("llama2-tokenizer.json.gz"), vectors);
}

TEST_F(TokenizerVectors, SentencePieceAddsBosAndDropsTheDummyPrefix) {
  const auto tokenizer = Tokenizer::load(data_ / "llama2-tokenizer.model");
  const Ids ids = tokenizer->encode("Hello world</s>");
  EXPECT_EQ(ids, (Ids{1, 15043, 3186, 2}));
  EXPECT_EQ(tokenizer->decode(ids, true), "Hello world");
  EXPECT_EQ(tokenizer->decode(ids), "<s> Hello world</s>");
  EXPECT_EQ(tokenizer->encode("</s>", false, false).front() == 2, false);
}

TEST_F(TokenizerVectors, SentencePieceReadsUnigramModels) {
  const auto tokenizer = Tokenizer::load(data_ / "sentencepiece-test_model.model");
  std::istringstream lines(read_file(data_ / "sentencepiece-botchan.txt"));
  std::string line;
  for (int i = 0; i < 200 && std::getline(lines, line); ++i) {
    const Ids ids = tokenizer->encode(line, false);
    StreamDecoder decoder(*tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += decoder.push(id);
    EXPECT_EQ(streamed + decoder.flush(), tokenizer->decode(ids));
  }
}

}  // namespace
}  // namespace weft
