# weft_embed(TARGET FUNCTION FILE): makes FILE's bytes part of TARGET as
#   namespace weft { std::string_view FUNCTION(); }
# The declaration stands in a header of the target.
set(WEFT_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/EmbedFile.cmake)

function(weft_embed target function file)
  get_filename_component(file ${file} ABSOLUTE)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded_${function}.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${source} -DFUNCTION=${function} -P
            ${WEFT_EMBED_SCRIPT}
    DEPENDS ${file} ${WEFT_EMBED_SCRIPT}
    COMMENT "Embedding ${file}"
    VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
