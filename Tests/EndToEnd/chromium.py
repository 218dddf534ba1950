"""Debian's Chromium, headless, with a profile of its own, for the one page that a command-line login shows."""

from __future__ import annotations

import shutil
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from stack import eventually


class Chromium:
    """No request leaves this machine: every name but loopback's is unknown."""

    def __init__(self, profile: Path) -> None:
        for name, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
            assert shutil.which(name), f"{name} is missing: apt-get install {package}. bash Tests/run.sh end-to-end does it."
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1", "--lang=en",
        ):
            options.add_argument(argument)
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_page_load_timeout(60)

    def sign_in(self, address: str, user: str = "ada") -> str:
        """From the provider's address to the page on which the login ends; that page's text."""
        self.driver.get(address)
        assert self.driver.title.startswith("Sign in"), (self.driver.title, self.driver.current_url)
        self.driver.find_element("css selector", "#username").send_keys(user)
        self.driver.find_element("css selector", "#password").send_keys("metaflow")
        self.driver.find_element("css selector", "button[type=submit]").click()
        eventually(lambda: self.driver.current_url.startswith("http://localhost:") and self.driver.execute_script("return document.readyState") == "complete", "the way back")
        return self.driver.find_element("css selector", "body").text

    def close(self) -> None:
        self.driver.quit()
