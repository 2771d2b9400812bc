/// Tokens to expressions, with Jinja2's precedence.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/jinja/ast.h"
#include "model/tokenizer/jinja/lexer.h"

namespace weft::jinja {

/// Reads from a list of tokens that ends with kEnd. Every error is an InputError with the line.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  const Token& peek(size_t ahead = 0) const;
  Token next();
  bool is_operator(std::string_view text, size_t ahead = 0) const;
  bool is_name(std::string_view text, size_t ahead = 0) const;
  bool accept_operator(std::string_view text);
  bool accept_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect(TokenKind kind, const char* what);
  std::string expect_identifier();
  [[noreturn]] void fail(const std::string& what) const;

  /// `value if condition else other`, or anything below.
  ExprPtr parse_expression();
  /// One expression, or several with commas between them: a tuple. Without `conditional` none of
  /// them has the conditional form.
  ExprPtr parse_tuple(bool conditional);
  /// Filters behind `value`; the first may come without its '|'.
  ExprPtr parse_filter(ExprPtr value, bool at_name);
  ExprPtr make(ExprKind kind, std::string text = "") const;

  /// One more level of recursion, until destroyed.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  /// Which of varargs, kwargs and caller were named since they were last cleared.
  bool names_varargs_ = false, names_kwargs_ = false, names_caller_ = false;

 private:
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_filtered();
  ExprPtr parse_unary();
  ExprPtr parse_primary();
  ExprPtr parse_number();
  ExprPtr parse_name();
  ExprPtr parse_parenthesis();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr value);
  ExprPtr parse_member(ExprPtr value);
  ExprPtr parse_subscript(ExprPtr value);
  ExprPtr parse_call(ExprPtr value);
  ExprPtr parse_test(ExprPtr value);
  void parse_arguments(Expr& call);
  void add(Expr& parent, ExprPtr child) const;
  template <class Next>
  ExprPtr parse_left(std::initializer_list<std::string_view> operators, Next parse_next);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace weft::jinja
