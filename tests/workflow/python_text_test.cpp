#include "workflow/python_text.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(PythonText, BlanksStringsAndComments) {
  EXPECT_EQ(blank_strings_and_comments("x = 'a#b' # c\ny"), "x = " + std::string(9, ' ') + "\ny");
  EXPECT_EQ(blank_strings_and_comments("\"\"\"a\n'b\"\"\"z"), "    \n     z");
  EXPECT_EQ(blank_strings_and_comments(R"('a\'b' + c)"), "       + c");
}

TEST(PythonText, KeepsWhatAnFStringEvaluates) {
  EXPECT_EQ(dunder_attribute(blank_strings_and_comments("f'{x.__class__}'")), "__class__");
  EXPECT_EQ(dunder_attribute(blank_strings_and_comments("'x.__class__' # .__a__")), std::nullopt);
}

TEST(PythonText, FindsDunderAttributesButTheSuperInit) {
  EXPECT_EQ(dunder_attribute("a.__dict__"), "__dict__");
  EXPECT_EQ(dunder_attribute("super().__init__()"), std::nullopt);
  EXPECT_EQ(dunder_attribute("super().__getattribute__"), "__getattribute__");
  EXPECT_EQ(dunder_attribute("a . __x__"), "__x__");
  EXPECT_EQ(dunder_attribute("def __init__(self): pass"), std::nullopt);
}

TEST(PythonText, KnowsTheContractsInit) {
  EXPECT_TRUE(has_contract_init("def __init__(self, name, llm_config, dataset):"));
  EXPECT_TRUE(
      has_contract_init("def __init__(\n self,\n name: str,\n llm_config: dict,\n dataset: "
                        "DatasetType,\n ) -> None:"));
  EXPECT_FALSE(has_contract_init("def __init__(self, name, dataset):"));
  EXPECT_FALSE(has_contract_init("def __init__(self, names, llm_config, dataset):"));
  EXPECT_FALSE(has_contract_init("def __init__(self, name, llm_config, dataset, extra):"));
}

TEST(PythonText, SurvivesUnclosedLiterals) {
  EXPECT_EQ(blank_strings_and_comments("x = 'abc\ny = 1"), "x =     \ny = 1");
  EXPECT_EQ(blank_strings_and_comments("'''abc"), "      ");
  EXPECT_EQ(blank_strings_and_comments("'\\"), "  ");
}

}  // namespace
}  // namespace weft
