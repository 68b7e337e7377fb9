@echo off
rem Raccordo, il programma di un ente. Doppio clic: prepara cio' che manca e resta in funzione (Ctrl-C per fermarlo). Con parole e' un comando:
rem   avvia-nodo status        avvia-nodo --help
rem I dati stanno in %USERPROFILE%\raccordo, o dove dice RACCORDO_DIR.
setlocal
chcp 65001 >nul
set "program=%~dp0ambiente\Scripts\raccordo-node.exe"
if exist "%program%" goto ready
where py >nul 2>nul && (py -3 "%~dp0installa.py" & goto installed)
where python >nul 2>nul && (python "%~dp0installa.py" & goto installed)
echo Serve Python 3.11 o successivo, da installare prima.
pause
exit /b 1
:installed
if exist "%program%" goto ready
pause
exit /b 1
:ready
if not defined RACCORDO_DIR set "RACCORDO_DIR=%USERPROFILE%\raccordo"
if not "%~1"=="" ("%program%" %* & goto end)
if not exist "%RACCORDO_DIR%\raccordo.toml" "%program%" init
"%program%" serve
pause
:end
exit /b %errorlevel%
