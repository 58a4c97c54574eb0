# Run at every build (cmake -P): writes OUTPUT anew only when the commit or its cleanliness has changed.
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
set(dirty false)
if(failed)
  set(commit "")
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(dirty true)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [=[
namespace sweep::internal {
extern const char* const kBuildCommit;
extern const bool kBuildDirty;
const char* const kBuildCommit = "@commit@";
const bool kBuildDirty = @dirty@;
}  // namespace sweep::internal
]=] @ONLY)
