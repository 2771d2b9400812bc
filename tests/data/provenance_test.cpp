#include "data/provenance.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class ProvenanceOf : public ::testing::Test {
 protected:
  fs::path model(const std::string& name, const std::string& source) {
    fs::create_directory(dir_ / name);
    if (!source.empty()) std::ofstream(dir_ / name / "source.json") << source;
    return dir_ / name;
  }

  test::TempDir dir_;
};

TEST_F(ProvenanceOf, ADirectoryIsItsLabel) {
  const auto path = model("small", R"({"package": "p", "label": "Small, from 4 bits"})");
  EXPECT_EQ(provenance_of(path).label, "Small, from 4 bits");
  EXPECT_EQ(provenance_of(path.string() + "/").label, "Small, from 4 bits");
  EXPECT_EQ(provenance_of(path.string() + "-int8").label,
            "Small, from 4 bits, weights rounded to 8 bits");
}

TEST_F(ProvenanceOf, WithoutALabelItIsTheDirectorysName) {
  EXPECT_EQ(provenance_of(model("plain", "")).label, "plain");
  EXPECT_EQ(provenance_of(model("old", R"({"package": "p"})").string() + "/").label, "old");
}

TEST_F(ProvenanceOf, AServersModelIsItsOwnLabel) {
  EXPECT_EQ(provenance_of("gpt-4o-mini").label, "gpt-4o-mini");
  EXPECT_TRUE(provenance_of("gpt-4o-mini").teachers.empty());
  EXPECT_EQ(provenance_of("").label, "");
}

TEST_F(ProvenanceOf, ABrokenFileIsRefusedByName) {
  EXPECT_THROW(provenance_of(model("broken", R"({"label": 3})")), InputError);
  EXPECT_THROW(provenance_of(model("worse", "{")), InputError);
}

TEST_F(ProvenanceOf, TeachersAreHandedOnFromStageToStage) {
  const auto base = model("base", R"({"label": "Base"})"), sft = model("sft", ""),
             grpo = model("grpo", "");
  write_teachers(sft, base, {"scripted", "teacher:big"});
  write_teachers(grpo, sft, {"scripted"});
  EXPECT_EQ(provenance_of(grpo).teachers, (std::vector<std::string>{"scripted", "teacher:big"}));
}

TEST_F(ProvenanceOf, WhereNobodyTaughtNothingIsWritten) {
  const auto path = model("grpo", "");
  write_teachers(path, model("base", ""), {});
  EXPECT_FALSE(fs::exists(path / "source.json"));
}

TEST_F(ProvenanceOf, TheScriptedTeacherIsCalledWhatItIs) {
  EXPECT_EQ(teacher_words("scripted"),
            "scripted teacher (a grammar of workflows, not a language model)");
  EXPECT_EQ(teacher_words("teacher:big"), "big (teacher)");
  EXPECT_EQ(teacher_words("model:small"), "small");
}

}  // namespace
}  // namespace weft
